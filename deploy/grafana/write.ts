/** Writes the dashboards to where Grafana reads them: npm run dashboards. */
import { writeFileSync } from 'node:fs';
import { dashboards } from './dashboards.ts';

for (const [file, dashboard] of dashboards()) {
  writeFileSync(
    new URL(`dashboards/${file}`, import.meta.url),
    `${JSON.stringify(dashboard, undefined, 2)}\n`,
  );
}
