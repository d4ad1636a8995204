"""What runs inside Redis. Every script is atomic, uses the server's clock, and leaves nothing behind for ever.

A window of ``per`` is kept as at most :data:`BUCKETS` + 1 sums, oldest first. A sum counts until all of it has left the
window, so that no window ever holds more than the limit, and what is freed is freed at most a thousandth of ``per``
late. That bounds the memory of a limit of any size, and makes a decision cost the same for 10 requests and 10 million.

Concurrency is counted by process. A process that was not heard of for a lease's time counts no more.
"""

from __future__ import annotations

from .store import CONCURRENCY_AGAIN

#: Parts of a window; what a request used is given back at most this part of the window late.
BUCKETS = 1000

_CLOCK = """
local function clock(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end
"""


def _filled(script: str) -> str:
    return script.replace("@BUCKETS", str(BUCKETS)).replace("@AGAIN", str(round(CONCURRENCY_AGAIN * 1_000_000)))


#: KEYS: processes, then for each claim two of a window (order, sums) or one of concurrency (counts) twice.
#: ARGV: process, clock or '', then for each claim limit, microseconds (0 is concurrency), cost.
#: Returns {1, [bucket, left, microseconds until the first is freed]...}, or {0, number of the claim that has to wait
#: longest, microseconds until it has room, what its limit has left}.
TAKE = _filled(
    _CLOCK
    + """
local BUCKETS, AGAIN = @BUCKETS, @AGAIN
local me, now = ARGV[1], clock(ARGV[2])
local alive = {[me] = true}
local function is_alive(process)
  if alive[process] == nil then
    alive[process] = tonumber(redis.call('ZSCORE', KEYS[1], process) or '0') > now
  end
  return alive[process]
end
local function in_flight(counts)
  local all, sum = redis.call('HGETALL', counts), 0
  for i = 1, #all, 2 do
    if is_alive(all[i]) then sum = sum + all[i + 1] else redis.call('HDEL', counts, all[i]) end
  end
  return sum
end
local function used(order, sums, bucket)
  local oldest = bucket - BUCKETS
  local last = redis.call('LINDEX', order, -1)
  if not last then
    redis.call('DEL', sums)
    return 0
  end
  if tonumber(last) < oldest then
    redis.call('DEL', order, sums)
    return 0
  end
  local first = redis.call('LINDEX', order, 0)
  while tonumber(first) < oldest do
    redis.call('HINCRBY', sums, 'total', 0 - (redis.call('HGET', sums, first) or 0))
    redis.call('HDEL', sums, first)
    redis.call('LPOP', order)
    first = redis.call('LINDEX', order, 0)
  end
  return tonumber(redis.call('HGET', sums, 'total') or 0)
end
local function wait(order, sums, width, excess)
  local from = 0
  while true do
    local some = redis.call('LRANGE', order, from, from + 31)
    if #some == 0 then return (BUCKETS + 1) * width end
    local costs = redis.call('HMGET', sums, unpack(some))
    for i = 1, #some do
      excess = excess - (costs[i] or 0)
      if excess <= 0 then return (some[i] + BUCKETS + 1) * width - now end
    end
    from = from + 32
  end
end
local claims = (#ARGV - 2) / 3
local refused, longest = 0, -1
local state = {}
for i = 1, claims do
  local limit, per, cost = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2])
  local a, b = KEYS[2 * i], KEYS[2 * i + 1]
  local need = 0
  if per == 0 then
    local sum = in_flight(a)
    state[i] = {sum, 0, 0}
    if sum + cost > limit then need = AGAIN end
  else
    local width = per / BUCKETS
    local bucket = math.floor(now / width)
    local sum = used(a, b, bucket)
    state[i] = {sum, width, bucket}
    if sum + cost > limit then need = math.max(wait(a, b, width, sum + cost - limit), 1) end
  end
  if need > longest and need > 0 then refused, longest = i, need end
end
if refused > 0 then
  return {0, refused, math.ceil(longest), math.max(0, ARGV[3 * refused] - state[refused][1])}
end
local out = {1}
for i = 1, claims do
  local limit, per, cost = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2])
  local a, b = KEYS[2 * i], KEYS[2 * i + 1]
  local sum, width, bucket = state[i][1], state[i][2], state[i][3]
  local reset = 0
  if per == 0 then
    redis.call('HINCRBY', a, me, cost)
    redis.call('PEXPIRE', a, 86400000)
  else
    local last = redis.call('LINDEX', a, -1)
    -- A clock that was set back must not put a sum before older ones.
    if last and tonumber(last) > bucket then bucket = tonumber(last) end
    local name = string.format('%.0f', bucket)
    if last ~= name then redis.call('RPUSH', a, name) end
    redis.call('HINCRBY', b, name, cost)
    redis.call('HINCRBY', b, 'total', cost)
    local life = math.ceil((per + 2 * width) / 1000) + 1000
    redis.call('PEXPIRE', a, life)
    redis.call('PEXPIRE', b, life)
    reset = math.ceil((redis.call('LINDEX', a, 0) + BUCKETS + 1) * width - now)
  end
  out[3 * i - 1], out[3 * i], out[3 * i + 1] = string.format('%.0f', bucket), limit - sum - cost, reset
end
return out
"""
)

#: KEYS: sums of a window. ARGV: bucket, difference. What has left the window in the meantime no longer matters.
SETTLE = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[2])
redis.call('HINCRBY', KEYS[1], 'total', ARGV[2])
return 1
"""

#: KEYS: counts of one concurrency limit. ARGV: process, how many it has in flight. What a process says of itself is so.
HOLD = """
if ARGV[2] == '0' then return redis.call('HDEL', KEYS[1], ARGV[1]) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], 86400000)
return 1
"""

#: KEYS: counts of one concurrency limit. ARGV: process, how many of its requests have ended.
RELEASE = """
local left = redis.call('HINCRBY', KEYS[1], ARGV[1], 0 - ARGV[2])
if left <= 0 then redis.call('HDEL', KEYS[1], ARGV[1]) end
return left
"""

#: KEYS: sequence, order, closures. ARGV: process, id, microseconds it lasts, what it is ('' is a return), clock or ''.
#: The later of two ends wins; a return ends them all. Returns the number of this piece of news.
PUBLISH = (
    _CLOCK
    + """
local now = clock(ARGV[5])
local ends = now + ARGV[3]
if ARGV[4] ~= '' then
  local old = redis.call('HGET', KEYS[3], ARGV[2])
  if old then
    local known, _, what = string.match(old, '^(%d+) (%S+) (.*)$')
    if what ~= '' and tonumber(known) >= ends then return 0 end
  end
end
local number = redis.call('INCR', KEYS[1])
redis.call('ZADD', KEYS[2], number, ARGV[2])
redis.call('HSET', KEYS[3], ARGV[2], string.format('%.0f', ends) .. ' ' .. ARGV[1] .. ' ' .. ARGV[4])
local life = math.max(86400000, math.ceil(ARGV[3] / 1000) + 60000)
for i = 1, 3 do
  if redis.call('PTTL', KEYS[i]) < life then redis.call('PEXPIRE', KEYS[i], life) end
end
return number
"""
)

#: KEYS: processes, what they say, sequence, order, closures. ARGV: process, lease in microseconds, what it says, number
#: of the last piece of news it knows, clock or ''.
#: Returns {whether it was known, number, [process, what it says]..., [id, microseconds left, process, what]...}.
BEAT = (
    _CLOCK
    + """
local now = clock(ARGV[5])
local known = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '0') > now
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('ZREM', KEYS[1], gone)
  redis.call('HDEL', KEYS[2], gone)
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
local life = math.ceil(ARGV[2] / 1000) * 2
redis.call('PEXPIRE', KEYS[1], life)
redis.call('PEXPIRE', KEYS[2], life)
local number = tonumber(redis.call('GET', KEYS[3]) or '0')
local news = {}
local since = tonumber(ARGV[4])
if since > number then since = 0 end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. string.format('%.0f', since), '+inf')) do
  local ends, by, what = string.match(redis.call('HGET', KEYS[5], id) or '', '^(%d+) (%S+) (.*)$')
  if ends then
    news[#news + 1] = {id, string.format('%.0f', ends - now), by, what}
  end
end
return {known and 1 or 0, number, redis.call('HGETALL', KEYS[2]), news}
"""
)

#: KEYS: one conversation. ARGV: the target that keeps it.
KEEP = "return redis.call('SET', KEYS[1], ARGV[1], 'PX', 86400000)"

#: KEYS: one conversation. Returns the target that keeps it, or nothing.
HOLDER = "return redis.call('GET', KEYS[1])"

#: KEYS: processes, what they say. ARGV: process. It ends in order: its lease ends with it.
LEAVE = """
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('HDEL', KEYS[2], ARGV[1])
"""
