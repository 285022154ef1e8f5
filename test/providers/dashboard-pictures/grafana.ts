/**
 * The components that Grafana publishes on npm under Apache-2.0, and the page that draws with them. Grafana itself, which is
 * under the AGPL, is neither installed nor run.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { installed, run, sourceOf } from '../support/installed.ts';

/** Its package still has the component for curves. */
const GRAFANA = '10.4.19';
/** Inter is Grafana's typeface, under the OFL; the rest is under Apache-2.0 or MIT. */
const PACKAGES = [
  ...['@grafana/ui', '@grafana/data', '@grafana/schema'].map((name) => `${name}@${GRAFANA}`),
  ...['react@18.2.0', 'react-dom@18.2.0', 'rxjs@7.8.1', '@fontsource/inter@5.0.16'],
];

/** A folder whose `node_modules` has them. */
export const grafanaFolder = (): string =>
  installed(`grafana-ui-${GRAFANA}`, [], (folder) => {
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    run('npm', ['install', '--no-fund', '--no-audit', '--ignore-scripts', ...PACKAGES], folder);
  });

/** The licence of each package of Grafana that was installed, by name. */
export function grafanaLicences(): Record<string, unknown> {
  const folder = join(grafanaFolder(), 'node_modules/@grafana');
  const packages = readdirSync(folder).map(
    (name) => JSON.parse(readFileSync(join(folder, name, 'package.json'), 'utf8')) as Record<string, unknown>,
  );
  return Object.fromEntries(packages.map(({ name, license }) => [name, license]));
}

const PAGE = sourceOf('dashboard-pictures/page');

/** What the page imports is there, and not in the packages of this repository: the test runner has a React of its own. */
const packagesIn = (folder: string): Plugin => ({
  name: 'packages of the page',
  setup(made) {
    made.onResolve({ filter: /^[^./]/ }, ({ path, kind, importer }) =>
      importer.startsWith(PAGE) ? made.resolve(path, { kind, resolveDir: folder }) : undefined,
    );
  },
});

/** The script and the styles of the page, by path. */
export async function bundled(): Promise<ReadonlyMap<string, Uint8Array>> {
  const folder = grafanaFolder();
  const { outputFiles } = await build({
    entryPoints: [join(PAGE, 'main.js')],
    outdir: '/',
    write: false,
    bundle: true,
    minify: true,
    format: 'iife',
    plugins: [packagesIn(folder)],
    // The module of each component by itself: what is not drawn with is left out.
    alias: Object.fromEntries(
      ['ui', 'data'].map((name) => [
        `@grafana/${name}`,
        join(folder, `node_modules/@grafana/${name}/dist/esm/index.js`),
      ]),
    ),
    define: { 'process.env.NODE_ENV': '"production"' },
    loader: { '.svg': 'dataurl' },
    logLevel: 'silent',
  });
  return new Map(outputFiles.map(({ path, contents }) => [path, contents]));
}
