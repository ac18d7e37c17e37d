-- A process comes, or comes again. What it held before is released.
-- KEYS: the process, what it holds, all processes, the name of this memory. ARGV: the process' id, its epoch, how long things are
-- kept, and a name for a memory that has none.
-- Answers the name of this memory, and how many processes there are.

release(KEYS[2])
redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[3], text(now()), ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
if not redis.call('GET', KEYS[4]) then
    redis.call('SET', KEYS[4], ARGV[4])
end
redis.call('PEXPIRE', KEYS[4], ARGV[3])
return { redis.call('GET', KEYS[4]), redis.call('ZCARD', KEYS[3]) }
