-- A window is a hash: `h` and `t` are the numbers of its oldest and its newest piece, `s` is the sum, and each piece stands under
-- its number as `FIRST LAST AMOUNT`. Times are in milliseconds. It is the window of limits/window.rs.

local function text(number)
    -- Zero may be negative, which Redis does not read.
    return string.format('%.0f', number + 0)
end

local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function piece_at(key, number)
    local found = redis.call('HGET', key, text(number))
    if not found then
        return nil
    end
    local first, last, amount = string.match(found, '^(%d+) (%d+) (%d+)$')
    return { first = tonumber(first), last = tonumber(last), amount = tonumber(amount) }
end

local function write(piece)
    return text(piece.first) .. ' ' .. text(piece.last) .. ' ' .. text(piece.amount)
end

-- Opens a window. What has left it is dropped.
local function open_window(key, length, time)
    local found = redis.call('HMGET', key, 'h', 't', 's')
    local window = {
        key = key,
        length = length,
        head = tonumber(found[1] or 1),
        tail = tonumber(found[2] or 0),
        sum = tonumber(found[3] or 0),
    }
    local before = window.head
    while window.head <= window.tail do
        local oldest = piece_at(key, window.head)
        if oldest and oldest.last + length > time then
            break
        end
        if oldest then
            window.sum = math.max(window.sum - oldest.amount, 0)
            redis.call('HDEL', key, text(window.head))
        end
        window.head = window.head + 1
    end
    if window.head > window.tail then
        window.sum = 0
    end
    if window.head ~= before then
        redis.call('HSET', key, 'h', text(window.head), 's', text(window.sum))
    end
    return window
end

-- Adds what was consumed from `first` to `last`. Returns the number of its piece, and the time at which that began.
local function add(window, amount, first, last)
    local newest = window.head <= window.tail and piece_at(window.key, window.tail)
    local piece = { first = first, last = last, amount = amount }
    local joins = false
    if newest then
        piece.first, piece.last = math.max(first, newest.first), math.max(last, newest.last)
        joins = piece.first - newest.first < window.length / 256 or piece.first <= newest.last
        if joins then
            piece.first, piece.amount = newest.first, newest.amount + amount
        end
    end
    if not joins then
        window.tail = window.tail + 1
    end
    window.sum = window.sum + amount
    window.newest = piece
    redis.call(
        'HSET', window.key,
        'h', text(window.head), 't', text(window.tail), 's', text(window.sum), text(window.tail), write(piece)
    )
    if not joins then
        redis.call('PEXPIRE', window.key, text(2 * window.length))
    end
    return window.tail, piece.first
end

-- Gives back what was consumed too much, if the window still has that piece.
local function give_back(key, number, first, amount)
    local piece = piece_at(key, number)
    if piece and piece.first == first then
        amount = math.min(amount, piece.amount)
        piece.amount = piece.amount - amount
        redis.call('HSET', key, text(number), write(piece))
        redis.call('HINCRBY', key, 's', text(-amount))
    end
end
