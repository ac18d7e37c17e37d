-- Releases what a process holds.
local function release(held)
    local all = redis.call('HGETALL', held)
    for at = 1, #all, 2 do
        if redis.call('EXISTS', all[at]) == 1 then
            redis.call('HINCRBY', all[at], 'r', text(-tonumber(all[at + 1])))
        end
    end
    redis.call('DEL', held)
end
