/** Opens an address, and says which key of the configuration to change where that fails. */
import { ListenError, type ListenAddress } from '../server/listen-error.ts';

/** @throws ListenError that names the key of the configuration */
export async function openAddress<T>(address: ListenAddress, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    throw new ListenError(address, error);
  }
}
