/** The demo's upstream by itself, as docker-compose.yml runs it. */
import { startCookieFactory } from '../../demo/cookie-factory.ts';

await startCookieFactory(3000, '0.0.0.0');
// The first process of a container gets no signal that it does not ask for.
process.once('SIGTERM', () => process.exit());
