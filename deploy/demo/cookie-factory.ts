/** The demo's upstream by itself, as docker-compose.yml runs it. */
import { startCookieFactory } from '../../demo/cookie-factory.ts';

await startCookieFactory(3000, '0.0.0.0');
