/** The shape of `dns` in the configuration file. Pure. */
import { z } from 'zod';

const SERVER =
  'must be an IP address, with a port where it is not 53: 10.0.0.2, 127.0.0.1:5353, [fd00::2]:53';

const ADDRESS = z.union([z.ipv4(), z.ipv6()]);

/** An IPv6 address has brackets where a port follows. */
function isServer(text: string): boolean {
  const [, bracketed, plain, port = '53'] =
    /^(?:\[([0-9a-f:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const address = bracketed ?? plain ?? text;
  return ADDRESS.safeParse(address).success && Number(port) > 0 && Number(port) < 65_536;
}

export const dns = z
  .strictObject({
    servers: z
      .array(z.string(SERVER).refine(isServer, SERVER))
      .min(1)
      .optional()
      .describe(
        'DNS servers that are asked for the names of targets, instead of those of the system: IP addresses, with a port where it is not 53. Names are then taken as they are written: without /etc/hosts and search domains, so short names need the full form. Absent: names resolve as for every other program of the host. Set it to ask a service registry, such as Consul, without a change of the host.',
      ),
  })
  .describe(
    'How the names of targets are resolved. Names of issuers and of Redis resolve as the system does it.',
  );
