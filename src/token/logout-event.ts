/** What makes a JWT a logout token, whatever its `typ` (OpenID Connect Back-Channel Logout 1.0 section 2.4). Pure. */
import { isJsonObject, type JsonObject } from './claims.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';

export function hasLogoutEvent({ events }: JsonObject): boolean {
  return isJsonObject(events) && Object.hasOwn(events, EVENT) && isJsonObject(events[EVENT]);
}
