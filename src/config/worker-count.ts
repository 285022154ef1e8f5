/** How many processes serve, and what that means for limits and caches. */
import { availableParallelism } from 'node:os';
import type { Configuration } from './schema.ts';

/** @param cores that this process may use */
export function workerCount(
  { workers }: Pick<Configuration, 'workers'>,
  cores = availableParallelism(),
): number {
  return workers === 'auto' ? cores : workers;
}

/** More workers than cores only share them. */
export function tooManyWorkers(configuration: Configuration, cores = availableParallelism()): string[] {
  const count = workerCount(configuration, cores);
  return count > cores
    ? [`workers: ${count} processes share ${cores} cores, which costs memory and brings no speed; use auto`]
    : [];
}

/** One line for each limit and cache that several workers divide, or have each. Empty for one process. */
export function workerNotes(configuration: Configuration, cores = availableParallelism()): string[] {
  const count = workerCount(configuration, cores);
  if (count === 1) return [];
  const { limits, caches, upstreams, issuers } = configuration;
  const divided = [
    ['limits.in_flight', limits.in_flight],
    ['limits.connections', limits.connections],
    ...Object.entries(upstreams).map(([name, { connections }]) => [
      `upstreams.${name}.connections`,
      connections,
    ]),
  ].filter(([, limit]) => limit !== 0);
  const mib = Math.round((caches.tokens.bytes + caches.introspection.bytes) / 1024 / 1024);
  const asked = Object.entries(issuers).flatMap(([name, { introspection }]) =>
    introspection ? [`issuers.${name}.introspection.per_client`] : [],
  );
  const checked = Object.entries(upstreams).flatMap(([name, { health }]) =>
    health ? [`upstreams.${name}.health`] : [],
  );
  return [
    `workers: ${count} processes divide ${divided.map(([key, limit]) => `${key} (${limit})`).join(', ')}`,
    `workers: each of ${count} processes has caches of its own: up to ${mib} MiB of tokens in each`,
    ...(asked.length === 0
      ? []
      : [
          `workers: each of ${count} processes counts for itself: ${asked.join(', ')}; a client with many connections may cause ${count} times as many calls`,
        ]),
    ...(checked.length === 0
      ? []
      : [`workers: each of ${count} processes checks for itself: ${checked.join(', ')}`]),
  ];
}
