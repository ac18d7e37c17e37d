-- A provider's key rests. The later end holds.
-- KEYS: the rests. ARGV: which key, for how many milliseconds, why, and how many rests are kept.

local over = now() + tonumber(ARGV[2])
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known and tonumber(string.match(known, '^%d+')) >= over then
    return 0
end
if known or redis.call('HLEN', KEYS[1]) < tonumber(ARGV[4]) then
    redis.call('HSET', KEYS[1], ARGV[1], text(over) .. ' ' .. ARGV[3])
    -- Whoever sees another number looks at all of them.
    redis.call('HINCRBY', KEYS[1], 'number', 1)
    redis.call('PEXPIRE', KEYS[1], 2 * 24 * 60 * 60 * 1000)
end
return 1
