-- One touch of the message KEYS[1]. docs/FLEET.md says what the fields are; Memory does the same.
-- ARGV: member, want, 1 if it writes, lease, expiry, time to write (ms), total, base, doubt, ack,
-- incarnation. All is read first and written at once: an error leaves nothing half done.
local key, member, want, writes = KEYS[1], ARGV[1], ARGV[2], ARGV[3] == '1'
local lease, expiry, take = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local total, base, doubt = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local ack, incarnation = tonumber(ARGV[10]), tonumber(ARGV[11])
local own = 's' .. member

local v = redis.call('HMGET', key, 'g', 'o', 'u', 'n', 'r', 't', 'tu', 'tn', 'd', 'dr', 'td',
  'c', 'tc', 'e', own)
local g = tonumber(v[1])
if want == 'forget' then
  if g then redis.call('HDEL', key, own) end
  return { 0, 0, 0, 0, 0, 0, 0, 0 }
end
local members = redis.call('HLEN', key)
for at = 1, 14 do
  if v[at] then members = members - 1 end
end
local function number(at) return tonumber(v[at] or 0) end
local owner, lease_end = v[2], number(3)
local position, reported = number(4), number(5)
local taker, take_end, taken = v[6] or '', number(7), number(8)
local doubted, doubt_reported, doubt_taken = number(9), number(10), number(11)
local counting, counting_taken, report = number(12), number(13), number(14)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local set = {}
local function put(field, value)
  set[#set + 1] = field
  set[#set + 1] = value
end
if not g then
  g = time[1] * 1000000 + time[2]
  put('g', g)
end

-- Deposit.
local before, counted_in = base, -1
if v[15] then
  local a, b = string.match(v[15], '^(%d+) (%d+)$')
  before, counted_in = tonumber(a), tonumber(b)
end
if total > before then
  local more = total - before
  position = position + more
  put('n', position)
  if not v[15] and doubt > 0 then
    doubted = doubted + math.min(doubt, more)
    put('d', doubted)
  end
  if counted_in ~= report then
    counting = counting + 1
    put('c', counting)
  end
  if not v[15] then members = members + 1 end
  put(own, string.format('%.0f %.0f', total, report))
end

-- Acknowledge.
if ack > reported and incarnation == g then
  reported = math.min(ack, position)
  put('r', reported)
  if taker == member then
    taker, doubt_reported = '', doubt_taken
    counting = math.max(0, counting - counting_taken)
    put('t', '')
    put('dr', doubt_reported)
    put('c', counting)
  end
end

-- Claim.
local free = now >= lease_end or owner == member
if want == 'claim' and free then
  owner, lease_end = member, now + lease
  put('o', owner)
  put('u', lease_end)
end

-- Take.
local may = want == 'leave' or (want == 'claim' and owner == member) or (want == 'collect' and free)
local alone = taker == '' or taker == member or now >= take_end
local sum, unsure = 0, 0
if may and writes and alone and position > reported then
  sum, unsure = position - reported, doubted - doubt_reported
  if taker ~= '' and taker ~= member then unsure = unsure + math.max(0, taken - reported) end
  unsure = math.min(unsure, sum)
  put('t', member)
  put('tu', now + take)
  put('tn', position)
  put('td', doubted)
  put('tc', counting)
  put('e', report + 1)
end

if #set > 0 then redis.call('HSET', key, unpack(set)) end
redis.call('PEXPIRE', key, expiry)
local left = math.max(0, lease_end - now)
local mine = owner == member and left > 0 and 1 or 0
return { mine, left, sum, sum > 0 and math.min(counting, members) or 0, unsure, position, reported, g }
