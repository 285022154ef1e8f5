/** The demo's authorization server by itself, as docker-compose.yml runs it. */
import { startIssuer } from '../../demo/issuer.ts';

await startIssuer(4000, { host: '0.0.0.0', url: 'http://issuer:4000' });
// The first process of a container gets no signal that it does not ask for.
process.once('SIGTERM', () => process.exit());
