-- All rests of keys. Those that are over are forgotten.
-- KEYS: the rests. Answers, for each, which key, for how many milliseconds more, and why.

local time, answer = now(), {}
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
    local over, why = string.match(all[at + 1], '^(%d+) (%a+)$')
    if over then
        local left = tonumber(over) - time
        if left > 0 then
            answer[#answer + 1] = all[at]
            answer[#answer + 1] = left
            answer[#answer + 1] = why
        else
            redis.call('HDEL', KEYS[1], all[at])
        end
    end
end
return answer
