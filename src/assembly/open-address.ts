/** Opens an address of the configuration. */
import { ListenError, type ListenAddress } from '../server/listen-error.ts';

/** @throws ListenError that names the key of the configuration */
export async function openAddress(address: ListenAddress, open: () => Promise<void>): Promise<void> {
  try {
    await open();
  } catch (error) {
    throw new ListenError(address, error);
  }
}
