/** Every configuration in the tutorial, the how-tos and the migration pages passes `sallyport check --strict`. */
import t from 'tap';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { namedFiles } from '../../src/config/named-files.ts';
import { certificateAuthority, noOpenssl } from '../support/certificates.ts';
import { sallyport } from '../support/command.ts';
import { blocksOf, pagesIn, type Block } from '../support/document.ts';
import { temporaryFolder } from '../support/process.ts';
import { createKey } from '../support/tokens.ts';

const PAGES = ['tutorial.md', 'tutorial-mcp.md', ...pagesIn('how-to'), ...pagesIn('migration')];
/** A whole configuration, or what changes in the one before it on the page. */
const OURS = 'sallyport.yaml';
/** Those of other programs. Their own parsers read them in test/providers. */
const OTHERS = [
  'kong.yaml',
  'envoy.yaml',
  'oathkeeper.yaml',
  'rules.yaml',
  'dynamic.yaml',
  'httproute.yaml',
  'oauth2-proxy.cfg',
  'oauth2-proxy.yaml',
  // Keys of clients: written beside the configurations of the page.
  'keys.yaml',
];

type Document = Record<string, unknown>;

/** What a page changes in the configuration before: each top-level key in place of the other. */
function configurationsOf(
  page: string,
): { page: string; block: Block; document: Document; isWhole: boolean }[] {
  let whole: Document | undefined;
  return blocksOf(page)
    .filter(({ file }) => file === OURS)
    .map((block) => {
      const written = parse(block.text) as Document;
      const isWhole = 'routes' in written && 'upstreams' in written;
      if (isWhole) whole = written;
      const document = isWhole ? written : { ...whole, ...written };
      return { page, block, document, isWhole };
    });
}

t.test('every yaml block says which file it is, and none is of an unknown program', async (t) => {
  const blocks = PAGES.flatMap(blocksOf).filter(({ language }) => language === 'yaml');
  t.ok(blocks.length > 20);
  for (const { file, place } of blocks)
    t.ok(file === OURS || OTHERS.includes(file ?? ''), `${place}: ${file}`);
});

t.test('every block of JSON and YAML can be parsed', async (t) => {
  for (const { language, text, place } of PAGES.flatMap(blocksOf)) {
    if (language === 'json') t.doesNotThrow(() => JSON.parse(text) as unknown, place);
    if (language === 'yaml')
      t.strictSame(
        parseAllDocuments(text).flatMap(({ errors }) => errors),
        [],
        place,
      );
  }
});

/** What `key_file` and the like name: something that can be loaded. */
function writeNamedFiles(document: Document, folder: string): void {
  const { privateKey } = createKey('EdDSA');
  const { jwk } = createKey('RS256', 'of-the-tests');
  for (const file of namedFiles(document, folder)) {
    mkdirSync(dirname(file), { recursive: true });
    if (file.endsWith('.crt'))
      certificateAuthority(dirname(file)).issue(basename(file, '.crt'), 'DNS:localhost');
    if (existsSync(file)) continue;
    const text = file.includes('assertion')
      ? JSON.stringify(privateKey.export({ format: 'jwk' }))
      : file.endsWith('.jwks.json')
        ? JSON.stringify({ keys: [jwk] })
        : 'a secret of the tests that is long enough for all of them';
    writeFileSync(file, text, { mode: 0o600 });
  }
}

t.test('every configuration is valid, and nothing in it is risky', { skip: noOpenssl }, async (t) => {
  const configurations = PAGES.flatMap(configurationsOf);
  t.ok(configurations.length > 12);
  const checks = configurations.map(async ({ page, block, document, isWhole }) => {
    const folder = temporaryFolder(t);
    writeNamedFiles(document, folder);
    const keys = blocksOf(page).find((each) => each.file === 'keys.yaml');
    if (keys) writeFileSync(join(folder, 'keys.yaml'), keys.text, { mode: 0o640 });
    const file = join(folder, OURS);
    // As it is written, where it is whole: comments and all.
    writeFileSync(file, isWhole ? block.text : stringify(document), { mode: 0o600 });
    const { code, out } = await sallyport(['check', '--strict', '--json', '-c', file]);
    const found = JSON.parse(out) as { problems: string[]; warnings: string[] };
    // The certificates of the tests live for two days.
    const risks = found.warnings.filter((warning) => !/ expires at /.test(warning));
    t.strictSame({ problems: found.problems, risks }, { problems: [], risks: [] }, block.place);
    t.equal(code, found.warnings.length > 0 ? 1 : 0);
  });
  await Promise.all(checks);
});
