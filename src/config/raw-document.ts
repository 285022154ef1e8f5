/** A document of any shape, as YAML or JSON brought it, read without trusting that shape. Pure. */

export type Raw = Readonly<Record<string, unknown>>;
export type Path = readonly (string | number)[];

export const isRaw = (value: unknown): value is Raw =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const rawOf = (value: unknown): Raw => (isRaw(value) ? value : {});
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
export const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? (value as unknown[]) : [];
export const stringsOf = (value: unknown): string[] =>
  listOf(value).filter((item) => typeof item === 'string');
