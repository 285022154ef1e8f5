/**
 * The script that counts requests by rate limits in Redis, atomic for all keys of a call. It does what `settle` of
 * src/limits/lease.ts does.
 *
 * KEYS: buckets; each is the time in milliseconds at which it is full again. ARGV, one text for each key: emissionMs, burst, passed,
 * wanted, aheadMs, maxAheadMs. Gives a text for each key: granted, aheadMs.
 */
export const LEASE_SCRIPT = `
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
local replies = {}
for index, key in ipairs(KEYS) do
  local fields = {}
  for field in string.gmatch(ARGV[index], '%S+') do fields[#fields + 1] = tonumber(field) end
  local emission, burst, passed, wanted, ahead, limit = unpack(fields)
  local before = tonumber(redis.call('GET', key) or '0')
  local known = math.max(math.min(math.max(before, now), now + limit), now + ahead)
  local charged = math.max(now, known + passed * emission)
  local granted = math.min(wanted, math.max(0, math.floor(burst - (charged - now - 0.001) / emission)))
  local after = charged + granted * emission
  if passed ~= 0 or granted ~= 0 or (before > 0 and after ~= before) or ahead > 0 then
    local life = math.ceil(after - now)
    if life > 0 then
      redis.call('SET', key, string.format('%.3f', after), 'PX', life)
    elseif before > 0 then
      redis.call('DEL', key)
    end
  end
  replies[index] = string.format('%d %.3f', granted, after - now)
end
return replies
`;
