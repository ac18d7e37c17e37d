-- Admits a request by all of its limits, or by none.
-- KEYS: the process, what it holds, then the limits. ARGV: the epoch, then for each limit its kind (`w`: a window, `t`: a tab), the
-- window's length or how long the tab is kept, the amount, and how much there may be.
-- Answers whether the request is admitted, the time, and five numbers for each limit. Of a window: the sum; how long the request
-- has to wait (-1: for ever); in how many milliseconds the window is empty; the number and the beginning of the piece. Of a tab:
-- what is spent, and what is reserved.

if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
    return redis.error_reply('STALE this process is not known any more')
end

local time = now()
local limits, fits = {}, true
for at = 3, #KEYS do
    local word = 2 + (at - 3) * 4
    local limit = {
        key = KEYS[at],
        windowed = ARGV[word] == 'w',
        span = tonumber(ARGV[word + 1]),
        amount = tonumber(ARGV[word + 2]),
        most = tonumber(ARGV[word + 3]),
    }
    if limit.windowed then
        limit.window = open_window(limit.key, limit.span, time)
        limit.used = limit.window.sum
    else
        local tab = redis.call('HMGET', limit.key, 's', 'r')
        limit.spent, limit.reserved = tab[1] or '0', tab[2] or '0'
        limit.used = tonumber(limit.spent) + tonumber(limit.reserved)
    end
    limit.full = limit.used + limit.amount > limit.most
    fits = fits and not limit.full
    limits[#limits + 1] = limit
end

-- In how many milliseconds enough has left a window.
local function wait(window, limit)
    local left = window.sum
    for number = window.head, window.tail do
        local piece = piece_at(window.key, number)
        if piece then
            left = left - piece.amount
            if left + limit.amount <= limit.most then
                return piece.last + window.length - time
            end
        end
    end
    return -1
end

local answer = { fits and 1 or 0, time }
for _, limit in ipairs(limits) do
    local told
    if limit.windowed then
        local window, number, first, waits = limit.window, 0, 0, 0
        if fits then
            number, first = add(window, limit.amount, time, time)
        elseif limit.full then
            waits = wait(window, limit)
        end
        local newest = window.newest or (window.head <= window.tail and piece_at(window.key, window.tail))
        local empties = newest and math.max(newest.last + window.length - time, 0) or 0
        told = { window.sum, waits, empties, number, first }
    else
        if fits then
            redis.call('HINCRBY', limit.key, 'r', text(limit.amount))
            redis.call('PEXPIRE', limit.key, text(limit.span))
            redis.call('HINCRBY', KEYS[2], limit.key, text(limit.amount))
        end
        told = { limit.spent, limit.reserved, 0, 0, 0 }
    end
    for _, number in ipairs(told) do
        answer[#answer + 1] = number
    end
end
return answer
