-- An answer that a node has kept: what it wrote, and for how many milliseconds it stays.
-- KEYS: the answer. ARGV: the most bytes that one may have. Only reads, so that a Redis that is full can do it too.

local length = redis.call('STRLEN', KEYS[1])
if length == 0 or length > tonumber(ARGV[1]) then
    return false
end
return { redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1]) }
