-- Notes what requests came to.
-- KEYS: the process, what it holds, then a limit for each note. ARGV: the epoch, the number of this message, then for each note
-- its kind and four numbers:
--   `b` NUMBER FIRST AMOUNT 0      of a piece of a window, so much is given back
--   `a` LENGTH AMOUNT AGE 0        a window has so much more, since so many milliseconds ago
--   `t` KEPT RELEASED SPENT WHO    of a tab, so much is no longer reserved, and so much was spent
--   `h` KEPT AMOUNT 0 0            of a tab, so much is reserved
--   `d` KEPT TOTAL 0 WHO           what `WHO` has spent is not less than this
-- A message that was heard already changes nothing.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
    return redis.error_reply('STALE this process is not known any more')
end
if tonumber(ARGV[2]) <= tonumber(redis.call('HGET', KEYS[1], 'heard') or 0) then
    return 0
end
redis.call('HSET', KEYS[1], 'heard', ARGV[2])

local function spend(key, who, amount)
    redis.call('HINCRBY', key, 's', amount)
    redis.call('HINCRBY', key, 's:' .. who, amount)
end

local time = now()
for at = 3, #KEYS do
    local key, word = KEYS[at], 3 + (at - 3) * 5
    local kind, one, two, three, four = ARGV[word], ARGV[word + 1], ARGV[word + 2], ARGV[word + 3], ARGV[word + 4]
    if kind == 'b' then
        give_back(key, tonumber(one), tonumber(two), tonumber(three))
    elseif kind == 'a' then
        local window = open_window(key, tonumber(one), time)
        local since = time - tonumber(three)
        if since + window.length > time then
            add(window, tonumber(two), since, since)
        end
    else
        if kind == 't' then
            -- No more than is held: what was held in an earlier epoch was released when that ended.
            local held = tonumber(redis.call('HGET', KEYS[2], key) or 0)
            local released = math.min(tonumber(two), held)
            if released > 0 then
                redis.call('HINCRBY', key, 'r', text(-released))
                if released == held then
                    redis.call('HDEL', KEYS[2], key)
                else
                    redis.call('HINCRBY', KEYS[2], key, text(-released))
                end
            end
            if three ~= '0' then
                spend(key, four, three)
            end
        elseif kind == 'h' then
            redis.call('HINCRBY', key, 'r', two)
            redis.call('HINCRBY', KEYS[2], key, two)
        elseif kind == 'd' then
            local known = tonumber(redis.call('HGET', key, 's:' .. four) or 0)
            if tonumber(two) > known then
                spend(key, four, text(tonumber(two) - known))
            end
        end
        redis.call('PEXPIRE', key, one)
    end
end
return 1
