/** Proofs pass once in a fleet, also with a Redis that ends. SALLYPORT_PROOFS=10000 sends so many. Rules D14, V9. */
import t from 'tap';
import { fleetPlays, workerPlays } from '../support/dpop-fleet-plays.ts';

const count = Number(process.env['SALLYPORT_PROOFS'] ?? 200);
fleetPlays(t, count);
workerPlays(t, count);
