/**
 * The one script that changes the list in Redis, atomically: state, detail, expiry index, version and log.
 *
 * Keys (one hash tag, so that they share a slot): state {id → mark}, detail {id → who and why},
 * expiry (id by expires_at), clock {the last version}, log (a stream of marks).
 * A mark is `revoked|issued_before|expires_at|time_ms-counter`, issued_before empty for one token.
 *
 * Redis 7.0 cannot expire the members of a hash, so every change trims what has expired.
 */
export const KEY_NAMES = ['state', 'detail', 'expiry', 'clock', 'log'] as const;

/** Expired entries removed with each change: more than one, so that the list shrinks faster than it grows. */
const TRIM_PER_CHANGE = 20;
/** Changes kept in the log. A gateway that was away for longer loads a snapshot. */
const LOG_LENGTH = 100_000;

const COMMON = `
local state, detail, expiry, clock, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local t = redis.call('TIME')
local now_ms = t[1] * 1000 + math.floor(t[2] / 1000)
local now_s = tonumber(t[1])
for _, old in ipairs(redis.call('ZRANGEBYSCORE', expiry, '-inf', '(' .. now_s, 'LIMIT', 0, ${TRIM_PER_CHANGE})) do
  redis.call('HDEL', state, old)
  redis.call('HDEL', detail, old)
  redis.call('ZREM', expiry, old)
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
local function put(id, revoked, issued_before, expires_at)
  local mark = revoked .. '|' .. issued_before .. '|' .. expires_at .. '|' .. next_version()
  redis.call('HSET', state, id, mark)
  redis.call('ZADD', expiry, expires_at, id)
  redis.call('XADD', log, 'MAXLEN', '~', ${LOG_LENGTH}, '*', 'id', id, 'mark', mark)
  return mark
end
local function read(id)
  local mark = redis.call('HGET', state, id)
  if not mark then return nil end
  local revoked, issued_before, expires_at = string.match(mark, '^(%d)|(%d*)|(%d+)|')
  if tonumber(expires_at) < now_s then return nil end
  return { mark = mark, revoked = revoked, issued_before = issued_before, expires_at = expires_at }
end
`;

/** ARGV: id, issued_before ('' for one token), expires_at, detail without dates. → [created, mark, detail] */
export const REVOKE_SCRIPT = `${COMMON}
local id, issued_before, expires_at = ARGV[1], ARGV[2], ARGV[3]
local current = read(id)
if current and current.revoked == '1' then
  local raised = false
  if issued_before ~= '' and tonumber(issued_before) > tonumber(current.issued_before) then raised = true
  else issued_before = current.issued_before end
  if tonumber(expires_at) > tonumber(current.expires_at) then raised = true
  else expires_at = current.expires_at end
  local mark = current.mark
  if raised then mark = put(id, '1', issued_before, expires_at) end
  return { 0, mark, redis.call('HGET', detail, id) or '' }
end
local who = cjson.decode(ARGV[4])
who.created_at = now_s
local text = cjson.encode(who)
redis.call('HSET', detail, id, text)
return { 1, put(id, '1', issued_before, expires_at), text }
`;

/** ARGV: id. → the tombstone's mark, or nil where nothing is revoked under it */
export const UNDO_SCRIPT = `${COMMON}
local current = read(ARGV[1])
if not current or current.revoked ~= '1' then return nil end
return put(ARGV[1], '0', current.issued_before, current.expires_at)
`;
