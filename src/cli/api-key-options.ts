/** What the options of `api-keys create` and `rotate` say. */
import { duration } from '../config/scalars.ts';
import { UsageError, timeOf, type Arguments } from './command.ts';

/** A length of time as people write it. In seconds. */
export function secondsOf(option: string, value: string): number {
  const parsed = duration.safeParse(value);
  if (!parsed.success) throw new UsageError(`--${option} must be a time such as 30m, 24h or 90d`);
  return Math.floor(parsed.data / 1000);
}

/** When a key expires: so long from now, or at that time. In seconds since 1970. */
export function expiryOf(value: string, nowSeconds: number): number {
  return duration.safeParse(value).success
    ? Math.floor(nowSeconds) + secondsOf('expires', value)
    : Math.floor(timeOf(value));
}

/** The values of an option that may come more than once. */
export function texts(args: Arguments, name: string): readonly string[] {
  const values = args.values[name];
  return Array.isArray(values) ? values.map(String) : [];
}

/** `NAME=VALUE` is a text, `NAME:=JSON` any value. */
export function claimsOf(options: readonly string[]): Readonly<Record<string, unknown>> {
  const claims = options.map((option): [string, unknown] => {
    const equals = option.indexOf('=');
    const isJson = option[equals - 1] === ':';
    const name = option.slice(0, isJson ? equals - 1 : equals);
    if (equals < 0 || name === '')
      throw new UsageError('--claim must be NAME=VALUE, or NAME:=JSON for what is no text');
    const value = option.slice(equals + 1);
    return [name, isJson ? jsonOf(name, value) : value];
  });
  return Object.fromEntries(claims);
}

function jsonOf(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`--claim ${name}:= must be followed by JSON; write ${name}=VALUE for a text`);
  }
}
