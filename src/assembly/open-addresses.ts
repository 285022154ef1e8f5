/** Opens the addresses of a gateway, and says which key of the configuration to change where that fails. */
import type { AdminServer } from '../admin/server.ts';
import type { Configuration } from '../config/schema.ts';
import { ListenError, type ListenAddress } from '../server/listen-error.ts';
import type { Listener } from '../server/listener.ts';
import { describeError, type Logger } from '../telemetry/logger.ts';
import type { Place } from './place.ts';

export interface AddressesToOpen {
  readonly place: Place;
  readonly admin: AdminServer;
  /** In the order of the configuration. */
  readonly listeners: readonly Listener[];
  readonly configuration: Configuration;
  readonly logger: Logger;
  readonly isStopping: () => boolean;
}

/**
 * One after the other.
 *
 * @returns false where a stop came before all were open
 * @throws ListenError
 */
export async function openAddresses(parts: AddressesToOpen): Promise<boolean> {
  const { place, admin, listeners, configuration, logger, isStopping } = parts;
  // An 'error' event that has no listener would end the process.
  const failing = (listener: string) => (error: Error) =>
    logger.error({ listener, error: describeError(error) }, 'a connection could not be accepted');
  if (place.administers) {
    const { host, port } = configuration.admin;
    await openAddress({ key: 'admin', host, port }, () => admin.listen(host, port, failing('admin')));
  }
  for (const [index, listener] of listeners.entries()) {
    // A name may take seconds to resolve: a stop does not wait for the others.
    if (isStopping()) return false;
    const { host = '', port = 0 } = configuration.listeners[index] ?? {};
    const key = `listeners[${index}]`;
    const socket = await place.socketOf?.(index);
    await openAddress({ key, host, port }, () => listener.listen(failing(key), socket));
  }
  return true;
}

/** @throws ListenError that names the key of the configuration */
export async function openAddress<T>(address: ListenAddress, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    throw new ListenError(address, error);
  }
}
