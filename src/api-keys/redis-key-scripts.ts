/**
 * The scripts that change and describe API keys in Redis, each atomic.
 *
 * Keys (one hash tag, so that they share a slot): texts {name → text}, order (name by the number of its last change), counts {the last
 * number, count and checksum}, used {name → seconds}. The checksum is the sum of the first 48 bits of SHA-1 over `name|text` of every
 * text, modulo 2^48, as stored-keys.ts works it out for itself: it finds what the store has lost, and proves nothing.
 */
export const API_KEY_NAMES = ['texts', 'order', 'counts', 'used'] as const;

/** Changes told with one call. */
const BATCH_TEXTS = 1_000;

const COMMON = `
local texts, order, counts, used = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local function checksum_of(name, text)
  return tonumber(string.sub(redis.sha1hex(name .. '|' .. text), 1, 12), 16)
end
local function last_number()
  local top = redis.call('ZREVRANGEBYSCORE', order, '+inf', '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return math.max(tonumber(redis.call('HGET', counts, 'number') or '0'), tonumber(top[2] or '0'))
end
`;

/**
 * ARGV: name, text that must be there ('' for none), text ('' removes) in turn. → 1 for each that was done, else 0
 */
export const REPLACE_KEYS_SCRIPT = `${COMMON}
local number = last_number()
local sum = tonumber(redis.call('HGET', counts, 'checksum') or '0')
local added, done = 0, {}
for index = 1, #ARGV, 3 do
  local name, before, text = ARGV[index], ARGV[index + 1], ARGV[index + 2]
  if (redis.call('HGET', texts, name) or '') == before then
    if before ~= '' then
      sum = sum - checksum_of(name, before)
      added = added - 1
    end
    if text ~= '' then
      sum = sum + checksum_of(name, text)
      added = added + 1
      number = number + 1
      redis.call('HSET', texts, name, text)
      redis.call('ZADD', order, string.format('%.0f', number), name)
    else
      redis.call('HDEL', texts, name)
      redis.call('ZREM', order, name)
      redis.call('HDEL', used, name)
    end
    done[#done + 1] = 1
  else
    done[#done + 1] = 0
  end
end
redis.call('HSET', counts, 'number', string.format('%.0f', number), 'checksum', string.format('%.0f', sum % 281474976710656))
redis.call('HINCRBY', counts, 'count', added)
return done
`;

/**
 * ARGV: number to read from ('' for none). Where the count is not that of the texts themselves (some were evicted), count and checksum
 * are worked out again first. → [last number, count, checksum, number read to, name and text in turn]
 */
export const KEY_CHANGES_SCRIPT = `${COMMON}
local size = redis.call('HLEN', texts)
if size ~= tonumber(redis.call('HGET', counts, 'count') or '0') then
  local all, sum = redis.call('HGETALL', texts), 0
  for index = 1, #all, 2 do sum = (sum + checksum_of(all[index], all[index + 1])) % 281474976710656 end
  -- A Redis that has reached maxmemory refuses the next line, unless something was taken away before it.
  redis.call('HDEL', counts, 'count')
  redis.call('HSET', counts, 'count', size, 'checksum', string.format('%.0f', sum))
end
local last, found, read_to = last_number(), {}, ARGV[1]
if read_to ~= '' then
  local names = redis.call('ZRANGEBYSCORE', order, '(' .. read_to, '+inf', 'WITHSCORES', 'LIMIT', 0, ${BATCH_TEXTS})
  for index = 1, #names, 2 do
    local text = redis.call('HGET', texts, names[index])
    if text then
      found[#found + 1] = names[index]
      found[#found + 1] = text
    end
    read_to = names[index + 1]
  end
  if #names < ${2 * BATCH_TEXTS} and tonumber(read_to) < last then read_to = string.format('%.0f', last) end
end
return { string.format('%.0f', last), size, redis.call('HGET', counts, 'checksum') or '0', read_to, found }
`;

/** ARGV: name and seconds in turn. Of a name that has no text, nothing is noted. */
export const NOTE_USES_SCRIPT = `${COMMON}
for index = 1, #ARGV, 2 do
  local name, at = ARGV[index], tonumber(ARGV[index + 1])
  if redis.call('HGET', texts, name) and at > tonumber(redis.call('HGET', used, name) or '0') then
    redis.call('HSET', used, name, string.format('%.0f', at))
  end
end
return 0
`;
