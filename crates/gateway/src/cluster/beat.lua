-- A process lives. What those hold that do not any more is released.
-- KEYS: the process, what it holds, all processes, the name of this memory, the rests of keys. ARGV: the process' id, its epoch, how long things are
-- kept, how long a silence means death, and what the keys of a process and of what it holds begin with.
-- Answers how many processes there are, and a number that is another one when there are other rests.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[2] then
    return redis.error_reply('STALE this process is not known any more')
end
local time = now()
redis.call('ZADD', KEYS[3], text(time), ARGV[1])
for at = 1, 4 do
    redis.call('PEXPIRE', KEYS[at], ARGV[3])
end
local silent = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', text(time - tonumber(ARGV[4])), 'LIMIT', 0, 16)
for _, process in ipairs(silent) do
    release(ARGV[6] .. process)
    -- What it has told is remembered, should it come again.
    redis.call('HDEL', ARGV[5] .. process, 'epoch')
    redis.call('ZREM', KEYS[3], process)
end
return { redis.call('ZCARD', KEYS[3]), redis.call('HGET', KEYS[5], 'number') or '0' }
