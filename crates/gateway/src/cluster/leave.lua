-- A process goes. KEYS: the process, what it holds, all processes. ARGV: the process' id.

release(KEYS[2])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
