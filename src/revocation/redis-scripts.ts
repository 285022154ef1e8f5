/**
 * The scripts that change and describe the list in Redis, each atomic: state, detail, expiry index, version, count,
 * checksum and log.
 *
 * Keys (one hash tag, so that they share a slot): state {id → mark}, detail {id → who and why},
 * expiry (id by expires_at), clock {the last version, count and checksum}, log (a stream of marks),
 * created (id by created_at).
 * A mark is `revoked|issued_before|expires_at|time_ms-counter`, issued_before empty for what ends for good (one token, a
 * session). The checksum is the
 * sum of the first 48 bits of SHA-1 over `id|mark` of every mark, modulo 2^48: whatever the order, and found by every
 * gateway for itself (mark.ts).
 *
 * Redis 7.0 cannot expire the members of a hash, so every change trims what has expired, and so does every call for
 * the inventory. What tidies up takes something away first: where Redis has reached maxmemory it refuses the first write of a
 * script if that may take memory, and no write behind another. A full Redis must not keep gateways from reading the list.
 */
export const KEY_NAMES = ['state', 'detail', 'expiry', 'clock', 'log', 'created'] as const;
export type KeyName = (typeof KEY_NAMES)[number];

/** Expired entries removed with each call: more than one, so that the list shrinks faster than it grows. */
const TRIM_PER_CALL = 20;
/** Entries put into the indexes again with each call: Redis does nothing else meanwhile, for some 10 ms. */
const REPAIR_PER_CALL = 2_000;
/** Changes kept in the log. A gateway that was away for longer compares itself with the whole list. */
export const LOG_LENGTH = 100_000;

const COMMON = `
local state, detail, expiry, clock, log, created = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local t = redis.call('TIME')
local now_ms = t[1] * 1000 + math.floor(t[2] / 1000)
local now_s = tonumber(t[1])
local function checksum_of(id, mark)
  return tonumber(string.sub(redis.sha1hex(id .. '|' .. mark), 1, 12), 16)
end
local function account(id, old, new)
  local sum = tonumber(redis.call('HGET', clock, 'checksum') or '0')
  if old then sum = sum - checksum_of(id, old) end
  if new then sum = sum + checksum_of(id, new) end
  redis.call('HSET', clock, 'checksum', string.format('%.0f', sum % 281474976710656))
  redis.call('HINCRBY', clock, 'count', (new and 1 or 0) - (old and 1 or 0))
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', '(' .. now_s, 'LIMIT', 0, ${TRIM_PER_CALL})) do
  local mark = redis.call('HGET', state, id)
  redis.call('HDEL', state, id)
  redis.call('HDEL', detail, id)
  redis.call('ZREM', expiry, id)
  redis.call('ZREM', created, id)
  if mark then
    account(id, mark, nil)
    redis.call('XADD', log, 'MAXLEN', '~', ${LOG_LENGTH}, '*', 'id', id, 'dropped', mark)
  end
end
local function next_version()
  local last_ms = tonumber(redis.call('HGET', clock, 'time_ms') or '0')
  local counter = 0
  if now_ms > last_ms then
    last_ms = now_ms
  else
    counter = tonumber(redis.call('HGET', clock, 'counter') or '0') + 1
  end
  redis.call('HSET', clock, 'time_ms', string.format('%.0f', last_ms), 'counter', counter)
  return string.format('%.0f-%d', last_ms, counter)
end
local function put(id, mark, expires_at)
  account(id, redis.call('HGET', state, id), mark)
  redis.call('HSET', state, id, mark)
  redis.call('ZADD', expiry, expires_at, id)
  redis.call('XADD', log, 'MAXLEN', '~', ${LOG_LENGTH}, '*', 'id', id, 'mark', mark)
  return mark
end
local function put_now(id, revoked, issued_before, expires_at)
  return put(id, revoked .. '|' .. issued_before .. '|' .. expires_at .. '|' .. next_version(), expires_at)
end
local function parse(mark)
  local revoked, issued_before, expires_at, time_ms, counter = string.match(mark, '^(%d)|(%d*)|(%d+)|(%d+)-(%d+)$')
  return { mark = mark, revoked = revoked, issued_before = issued_before, expires_at = expires_at,
    time_ms = tonumber(time_ms), counter = tonumber(counter) }
end
local function for_good(mark)
  return mark.revoked == '1' and mark.issued_before == ''
end
local function read(id)
  local mark = redis.call('HGET', state, id)
  local current = mark and parse(mark)
  if not current or tonumber(current.expires_at) < now_s then return nil end
  return current
end
`;

/**
 * ARGV: id, issued_before ('' for good), expires_at, detail without dates. What is revoked for good stays so.
 * → [1: created, 2: raised, 0: as it was; mark, detail]
 */
export const REVOKE_SCRIPT = `${COMMON}
local id, issued_before, expires_at = ARGV[1], ARGV[2], ARGV[3]
local current = read(id)
local known = redis.call('HGET', detail, id)
if current and current.revoked == '1' and known and not string.find(known, '"restored":true', 1, true) then
  local raised = false
  if for_good(current) then issued_before = ''
  elseif issued_before == '' or tonumber(issued_before) > tonumber(current.issued_before) then raised = true
  else issued_before = current.issued_before end
  if tonumber(expires_at) > tonumber(current.expires_at) then raised = true
  else expires_at = current.expires_at end
  local mark = current.mark
  if raised then mark = put_now(id, '1', issued_before, expires_at) end
  return { raised and 2 or 0, mark, known }
end
if current and current.revoked == '1' then
  -- Restored: this request says what it is.
  if for_good(current) then issued_before = '' end
  if issued_before ~= '' then issued_before = string.format('%.0f', math.max(tonumber(issued_before), tonumber(current.issued_before))) end
  expires_at = string.format('%.0f', math.max(tonumber(expires_at), tonumber(current.expires_at)))
end
local who = cjson.decode(ARGV[4])
who.created_at = now_s
local text = cjson.encode(who)
redis.call('HSET', detail, id, text)
redis.call('ZADD', created, now_s, id)
return { (current and current.revoked == '1') and 2 or 1, put_now(id, '1', issued_before, expires_at), text }
`;

/** ARGV: id. → the tombstone's mark, or nil where nothing is revoked under it */
export const UNDO_SCRIPT = `${COMMON}
local current = read(ARGV[1])
if not current or current.revoked ~= '1' then return nil end
return put_now(ARGV[1], '0', current.issued_before, current.expires_at)
`;

/**
 * ARGV: id, life in seconds from now on, and by how much that must put the expiry off at least. → the mark, or nil where
 * it stays as it is
 */
export const RENEW_SCRIPT = `${COMMON}
local current = read(ARGV[1])
if not current or current.revoked ~= '1' then return nil end
local expires_at = now_s + tonumber(ARGV[2])
if expires_at - tonumber(current.expires_at) < tonumber(ARGV[3]) then return nil end
return put_now(ARGV[1], '1', current.issued_before, string.format('%.0f', expires_at))
`;

/**
 * ARGV: id and mark in turn. Puts back what was lost: the higher version wins, a tie revokes, and what is revoked for good
 * by either stays so (mergedMark). → how many were put back
 */
export const MERGE_SCRIPT = `${COMMON}
local merged = 0
local last_ms = tonumber(redis.call('HGET', clock, 'time_ms') or '0')
local last_counter = tonumber(redis.call('HGET', clock, 'counter') or '0')
for index = 1, #ARGV, 2 do
  local id, mark = ARGV[index], parse(ARGV[index + 1])
  local present = redis.call('HGET', state, id)
  local current = present and parse(present)
  local newer = not current or mark.time_ms > current.time_ms
    or (mark.time_ms == current.time_ms and (mark.counter > current.counter
      or (mark.counter == current.counter and mark.revoked == '1'
        and (current.revoked == '0' or (for_good(mark) and not for_good(current))))))
  local winner = newer and mark or current
  local text = winner.mark
  if winner.revoked == '1' and current and (for_good(mark) or for_good(current)) then
    text = string.gsub(text, '^1|%d*|', '1||')
  end
  if (newer or text ~= current.mark) and tonumber(mark.expires_at) >= now_s then
    put(id, text, winner.expires_at)
    local created_at = math.floor(mark.time_ms / 1000)
    redis.call('HSETNX', detail, id, cjson.encode({ restored = true, created_at = created_at }))
    redis.call('ZADD', created, 'NX', created_at, id)
    if mark.time_ms > last_ms or (mark.time_ms == last_ms and mark.counter > last_counter) then
      last_ms, last_counter = mark.time_ms, mark.counter
    end
    merged = merged + 1
  end
end
-- Whatever is changed next must beat what was put back.
if merged > 0 then
  redis.call('HSET', clock, 'time_ms', string.format('%.0f', last_ms), 'counter', last_counter)
end
return merged
`;

/**
 * What a gateway compares itself with. Where the count is not that of the state itself (part of the list was evicted),
 * count and checksum are worked out again first. An index that does not fit the state is repaired, a piece with each call.
 * → [last id of the log, count, checksum, id of the replication history, empty where the server does not tell]
 */
export const INVENTORY_SCRIPT = `${COMMON}
local size = redis.call('HLEN', state)
if size ~= tonumber(redis.call('HGET', clock, 'count') or '0') then
  local all, sum = redis.call('HGETALL', state), 0
  for index = 1, #all, 2 do sum = (sum + checksum_of(all[index], all[index + 1])) % 281474976710656 end
  redis.call('HDEL', clock, 'count')
  redis.call('HSET', clock, 'count', size, 'checksum', string.format('%.0f', sum))
end
local mended_to = redis.call('HGET', clock, 'mended_to')
local in_expiry, in_created = redis.call('ZCARD', expiry), redis.call('ZCARD', created)
if not mended_to and (in_expiry ~= size or in_created ~= size) then
  mended_to = '0'
  if in_expiry > size then redis.call('UNLINK', expiry) end
  if in_created > size then redis.call('UNLINK', created) end
end
if mended_to then
  local page = redis.call('HSCAN', state, mended_to, 'COUNT', ${REPAIR_PER_CALL})
  redis.call('HDEL', clock, 'mended_to')
  for index = 1, #page[2], 2 do
    local id, mark = page[2][index], parse(page[2][index + 1])
    redis.call('ZADD', expiry, mark.expires_at, id)
    redis.call('ZADD', created, 'NX', math.floor(mark.time_ms / 1000), id)
  end
  if page[1] ~= '0' then redis.call('HSET', clock, 'mended_to', page[1]) end
end
local last = '0-0'
if redis.call('EXISTS', log) == 1 then
  local info = redis.call('XINFO', 'STREAM', log)
  for index = 1, #info, 2 do if info[index] == 'last-generated-id' then last = info[index + 1] end end
end
local replication = redis.pcall('INFO', 'replication')
local replication_id = type(replication) == 'string' and string.match(replication, 'master_replid:(%x+)') or ''
return { last, size, redis.call('HGET', clock, 'checksum') or '0', replication_id }
`;

/** KEYS: {gateway → time_ms|text}. ARGV: id, text, milliseconds that a heartbeat is kept. */
export const BEAT_SCRIPT = `
local t = redis.call('TIME')
local now_ms = t[1] * 1000 + math.floor(t[2] / 1000)
local beats = redis.call('HGETALL', KEYS[1])
for index = 1, #beats, 2 do
  local at_ms = tonumber(string.match(beats[index + 1], '^(%d+)|') or '0')
  if now_ms - at_ms > tonumber(ARGV[3]) then redis.call('HDEL', KEYS[1], beats[index]) end
end
return redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now_ms) .. '|' .. ARGV[2])
`;

/** KEYS: a box. ARGV: text, milliseconds that the box is kept. */
export const PUT_SCRIPT = `
redis.call('RPUSH', KEYS[1], ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`;
