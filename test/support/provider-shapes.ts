/** The published shapes of the tokens of every provider that has a preset. */
import { APPLICATIONS } from './provider-shapes/applications.ts';
import { CLOUD } from './provider-shapes/cloud.ts';
import { SELF_HOSTED } from './provider-shapes/self-hosted.ts';
import type { Shape } from './provider-shapes/shape.ts';
import { WORKLOAD } from './provider-shapes/workload.ts';

export * from './provider-shapes/shape.ts';

export const SHAPES: readonly Shape[] = [...SELF_HOSTED, ...CLOUD, ...APPLICATIONS, ...WORKLOAD];
