/** Hosts in the configuration, brought to the same form as the hosts of requests. Pure. Rule C22. */
import { z } from 'zod';
import { readHost } from '../http/host-name.ts';

const NAME = '[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\\.?';
const HINT =
  'must be a host name such as api.example.com, without port; write other alphabets as xn--, and IPv4 as 127.0.0.1';

/** One host name, without port; parses to its one form: lower case, without the root dot. */
export const hostName = z
  .string()
  .regex(new RegExp(`^${NAME}$`), { error: HINT, abort: true })
  .refine((text) => formOf(text) !== undefined, { error: HINT, abort: true })
  .transform(normalHost);

/** One host name, or `*.` and one: every name below it. */
export const hostPattern = z
  .string()
  .regex(new RegExp(`^(\\*\\.)?${NAME}$`), { error: `${HINT}; *. may stand in front`, abort: true })
  .refine((text) => formOf(text) !== undefined, { error: `${HINT}; *. may stand in front`, abort: true })
  .transform(normalHost);

/** The one form of a name or a pattern of any shape; the text itself where it has none. */
export function normalHost(text: string): string {
  return formOf(text) ?? text;
}

function formOf(text: string): string | undefined {
  const wildcard = text.startsWith('*.') ? '*.' : '';
  // A port that stands there is no part of a name; any scheme will do.
  const reading = readHost(text.slice(wildcard.length), 'http');
  return reading && wildcard + reading.hostname;
}
