/**
 * Where the admin listener of a running gateway is, by its configuration file. Only `admin` is read: an edit that is invalid
 * elsewhere, which the gateway does not take either, must not make it look ill.
 */
import { isMap, isScalar, parseDocument, type Document } from 'yaml';
import { interpolate, retype } from './interpolate.ts';
import { admin as adminSchema } from './listener-schema.ts';
import { loadConfiguration, readSource } from './load.ts';
import { isRaw, rawOf, type Raw } from './raw-document.ts';

export interface AdminAddress {
  /** The address that it binds to, which may stand for all. */
  readonly host: string;
  /** 0: the system has chosen one. */
  readonly port: number;
  readonly tls: boolean;
  /** It refuses clients without a certificate. */
  readonly clientsNeedOne: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

const ADDRESS = adminSchema.pick({ host: true, port: true });

/** @throws ConfigurationError with every problem of the file, where `admin` cannot be read either */
export function loadAdminAddress(file: string, environment: Environment): AdminAddress {
  const raw = rawAdmin(readSource(file), environment);
  const address = ADDRESS.safeParse(raw && { host: raw['host'], port: raw['port'] });
  const { host, port } = address.success
    ? address.data
    : loadConfiguration(file, environment).configuration.admin;
  return {
    host,
    port,
    tls: isRaw(raw?.['tls']),
    clientsNeedOne: needsClientCertificate(rawOf(raw?.['tls'])),
  };
}

function needsClientCertificate(tls: Raw): boolean {
  const asks = tls['client_ca'] !== undefined || tls['client_ca_file'] !== undefined;
  return asks && tls['client_certificates'] !== 'optional';
}

/** `admin` as the file has it; undefined where the file is no mapping. */
function rawAdmin(source: string, environment: Environment): Raw | undefined {
  const document = parseDocument(source, { version: '1.2', stringKeys: true, logLevel: 'silent' });
  if (!isMap(document.contents)) return undefined;
  const { plainScalars } = interpolate(document, environment);
  const port = document.getIn(['admin', 'port'], true);
  if (isScalar(port) && plainScalars.has(port) && typeof port.value === 'string')
    port.value = retype(port.value);
  return rawOf(valueOf(document)['admin']);
}

function valueOf(document: Document): Raw {
  try {
    return rawOf(document.toJS());
  } catch {
    // Of an alias that stands for nothing.
    return {};
  }
}
