/** What each row must reach against a base of the same run, and what would be better still. */
import type { KindName } from './kinds.ts';
import type { Goal, Row } from './row.ts';

/** Names of contestants, without their versions. */
export const NAMES = {
  sallyport: 'Sallyport',
  logging: 'Sallyport, access log',
  accepted: 'Sallyport, accepted token',
  floor: 'Floor: node:http and the upstream client',
  grpcFloor: 'Floor: node:http2 on both sides',
  haproxy: 'HAProxy jwt_verify',
  envoy: 'Envoy jwt_authn',
  envoyCache: 'Envoy jwt_authn, JWT cache',
} as const;

interface Aim {
  readonly of: string;
  readonly base: string;
  readonly atMost: number;
  /** It may be missed. */
  readonly wish?: true;
}

const { sallyport, logging, accepted, haproxy, envoy } = NAMES;

const AIMS: Readonly<Record<KindName, readonly Aim[]>> = {
  known: [
    { of: sallyport, base: haproxy, atMost: 0.7 },
    { of: sallyport, base: haproxy, atMost: 0.63, wish: true },
    { of: logging, base: sallyport, atMost: 1.1 },
    { of: logging, base: sallyport, atMost: 1.05, wish: true },
  ],
  'new-rs256': [
    { of: sallyport, base: envoy, atMost: 1.15 },
    { of: sallyport, base: haproxy, atMost: 1.3, wish: true },
  ],
  'new-es256': [
    { of: sallyport, base: haproxy, atMost: 1 },
    { of: sallyport, base: haproxy, atMost: 0.8, wish: true },
  ],
  'same-bad': [
    { of: sallyport, base: haproxy, atMost: 0.62 },
    { of: sallyport, base: accepted, atMost: 0.5, wish: true },
  ],
  'new-bad': [
    { of: sallyport, base: envoy, atMost: 1.5 },
    { of: sallyport, base: envoy, atMost: 1, wish: true },
  ],
};

const isOf = (name: string, { contestant }: Row): boolean => contestant.startsWith(`${name} (`);

/** The rows of one kind with their ratios and goals; a goal whose base was not measured is left out. */
export function goalsOf(kind: KindName, rows: readonly Row[]): readonly Row[] {
  const medianOf = (name: string): number | undefined => rows.find((row) => isOf(name, row))?.median;
  const to = medianOf(haproxy) === undefined ? sallyport : haproxy;
  const base = medianOf(to);
  return rows.map((row) => {
    const goals = AIMS[kind].filter(({ of }) => isOf(of, row)).flatMap((aim) => goalOf(aim, row, medianOf));
    return {
      ...row,
      ...(base !== undefined && { ratio: { to, value: row.median / base } }),
      ...(goals.length > 0 && { goals }),
    };
  });
}

function goalOf(
  { base, atMost, wish }: Aim,
  { median }: Row,
  medianOf: (name: string) => number | undefined,
): Goal[] {
  const [against, floor] = [medianOf(base), medianOf(NAMES.floor)];
  if (against === undefined) return [];
  return [
    goal({ base, atMost, wish: wish === true, value: median / against, floor: floor && floor / against }),
  ];
}

/** A goal in words, with its result and where the floor is. */
export function goal({
  base,
  atMost,
  wish,
  value,
  floor,
}: {
  readonly base: string;
  readonly atMost: number;
  readonly wish: boolean;
  readonly value: number;
  readonly floor: number | undefined;
}): Goal {
  // As it is printed: 1.004 is 1.00.
  const met = Number(value.toFixed(2)) <= atMost;
  const below = floor === undefined ? '' : `, floor ${floor.toFixed(2)}`;
  return {
    text: `${wish ? 'wish' : 'goal'} ≤ ${atMost.toFixed(2)} of ${base}: ${value.toFixed(2)}${below}`,
    met,
  };
}
