/** Everything that `npm run bench` measures, by the name for --only. */
import { envoy } from './contestants/envoy.ts';
import { haproxy } from './contestants/haproxy.ts';
import { caddy, fastify, httpProxy, nginx, traefik } from './contestants/others.ts';
import { floor, sallyport } from './contestants/sallyport.ts';
import { measureKind } from './cpu.ts';
import { measureProofs } from './dpop.ts';
import { NAMES } from './goals.ts';
import { measureGrpc } from './grpc.ts';
import { KINDS, type KindName } from './kinds.ts';
import { measureLatency } from './latency.ts';
import { measurePackage } from './package.ts';
import { measureLimits } from './limits.ts';
import { measureScale } from './scale.ts';
import { measureTransfer } from './transfer.ts';
import { measureWorkers } from './workers.ts';
import type { Contestant } from './contestants/contestant.ts';
import type { Section } from './row.ts';

const KIND_NAMES = Object.keys(KINDS) as KindName[];

const gateway = sallyport(NAMES.sallyport, { kinds: KIND_NAMES });

/** They authenticate, and take part in each kind that they can. */
const GATEWAYS: readonly Contestant[] = [
  gateway,
  sallyport(NAMES.logging, { accessLog: true, kinds: ['known'] }),
  sallyport(NAMES.accepted, { kinds: ['same-bad'], plays: 'known' }),
  floor,
  haproxy,
  envoy(NAMES.envoy, 'yes', KIND_NAMES),
  envoy(NAMES.envoyCache, 'with its cache', KIND_NAMES),
];

/** Beside what authenticates nothing, and a gateway made of npm packages. */
const OTHERS: readonly Contestant[] = [
  gateway,
  fastify,
  nginx,
  envoy('Envoy', 'no', ['known']),
  traefik,
  caddy,
  httpProxy,
];

export interface Named {
  readonly name: string;
  /** For --help. */
  readonly about: string;
  readonly section: Section;
}

const OTHERS_TITLE = 'beside others: token seen before, or no authentication';

export const SECTIONS: readonly Named[] = [
  ...KIND_NAMES.map((kind): Named => ({
    name: kind,
    about: `CPU a request: ${KINDS[kind].title}`,
    section: (effort) => measureKind(kind, GATEWAYS, effort),
  })),
  {
    name: 'others',
    about: `CPU a request: ${OTHERS_TITLE}`,
    section: (effort) => measureKind('known', OTHERS, effort, { title: OTHERS_TITLE }),
  },
  { name: 'dpop', about: 'CPU a request: a proof of possession with each', section: measureProofs },
  { name: 'grpc', about: 'CPU a unary call of gRPC', section: measureGrpc },
  {
    name: 'latency',
    about: 'what is added to nginx at half of the peak, in an open loop',
    section: (effort) => measureLatency(effort),
  },
  { name: 'transfer', about: '1 GiB in either direction', section: (effort) => measureTransfer(effort) },
  {
    name: 'package',
    about: 'the installed package: its start, its memory at rest',
    section: (effort) => measurePackage(effort),
  },
  { name: 'scale', about: '10,000 routes, 1,000,000 revocations', section: (effort) => measureScale(effort) },
  { name: 'limits', about: 'a rate limit, of the gateway and of a fleet', section: measureLimits },
  {
    name: 'workers',
    about: 'two workers beside one process, at half of its peak',
    section: (effort) => measureWorkers(effort),
  },
];
