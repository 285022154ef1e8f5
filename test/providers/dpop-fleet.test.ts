/** 10,000 proofs at a fleet with a real Redis, which ends in the middle. Rules D14, V9. */
import t from 'tap';
import { fleetPlays, workerPlays } from '../support/dpop-fleet-plays.ts';

fleetPlays(t, 10_000);
workerPlays(t, 10_000);
