/**
 * Draws the way of a request through the gateway, for README.md and docs/explanation/life-of-a-request.md, once for light
 * and once for dark pages. It is legible where it is shown 360 pixels wide.
 *
 *   node docs/images/request-way.ts      writes request-way-light.svg and request-way-dark.svg
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

interface Theme {
  readonly text: string;
  readonly faint: string;
  readonly line: string;
  readonly box: string;
  readonly gateway: string;
  readonly refusal: string;
  readonly pass: string;
}

export const THEMES: Readonly<Record<'light' | 'dark', Theme>> = {
  light: {
    text: '#1f2328',
    faint: '#59636e',
    line: '#8c959f',
    box: '#ffffff',
    gateway: '#eef4fb',
    refusal: '#b42318',
    pass: '#0a5c36',
  },
  dark: {
    text: '#f0f6fc',
    faint: '#9aa6b2',
    line: '#6e7681',
    box: '#161b22',
    gateway: '#131d2b',
    refusal: '#ff8f85',
    pass: '#5dd39e',
  },
};

const WIDTH = 480;
const CHECKS: readonly (readonly [question: string, note: string, refusal: string])[] = [
  ['Has it only one reading?', 'line, headers, host, path', '400'],
  ['Which route serves it?', 'none: it goes nowhere', '404'],
  ['Is the token genuine?', 'signature, issuer, audience, dates', '401'],
  ['Is the client its holder?', 'bound tokens: a proof, once', '401'],
  ['Was it revoked?', 'a list in memory that follows Redis', '401'],
  ['Does it permit this?', 'scopes and claims', '403'],
];
const ROW = 58;
const GATEWAY_TOP = 112;
const FIRST_ROW = GATEWAY_TOP + 44;
const GATEWAY_HEIGHT = 52 + CHECKS.length * ROW;
const SERVICE_TOP = GATEWAY_TOP + GATEWAY_HEIGHT + 44;
const HEIGHT = SERVICE_TOP + 76;
const MIDDLE = WIDTH / 2;

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function text(x: number, y: number, words: string, color: string, size: number, more = ''): string {
  return `<text x="${x}" y="${y}" fill="${color}" font-size="${size}"${more}>${escaped(words)}</text>`;
}

function box(x: number, y: number, width: number, height: number, fill: string, line: string): string {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="10" fill="${fill}" stroke="${line}" stroke-width="1.5"/>`;
}

function arrow(y: number, length: number, color: string): string {
  const end = y + length;
  return (
    `<line x1="${MIDDLE}" y1="${y}" x2="${MIDDLE}" y2="${end - 8}" stroke="${color}" stroke-width="2.5"/>` +
    `<path d="M${MIDDLE - 7} ${end - 10} L${MIDDLE + 7} ${end - 10} L${MIDDLE} ${end} Z" fill="${color}"/>`
  );
}

const CENTERED = ' text-anchor="middle"';
const BOLD = ' font-weight="600"';

function check(index: number, theme: Theme): string {
  const [question, note, refusal] = CHECKS[index] ?? ['', '', ''];
  const y = FIRST_ROW + index * ROW;
  return [
    `<circle cx="52" cy="${y + 20}" r="15" fill="none" stroke="${theme.pass}" stroke-width="2"/>`,
    text(52, y + 26, String(index + 1), theme.pass, 17, CENTERED + BOLD),
    text(80, y + 18, question, theme.text, 18, BOLD),
    text(80, y + 39, note, theme.faint, 16),
    `<rect x="392" y="${y + 3}" width="60" height="34" rx="17" fill="none" stroke="${theme.refusal}" stroke-width="2"/>`,
    text(422, y + 26, refusal, theme.refusal, 18, CENTERED + BOLD),
  ].join('\n  ');
}

/** The picture for one theme. */
export function requestWay(theme: Theme): string {
  const parts = [
    box(110, 8, 260, 60, theme.box, theme.line),
    text(MIDDLE, 33, 'client', theme.text, 18, CENTERED + BOLD),
    text(MIDDLE, 55, 'Authorization: Bearer …', theme.faint, 16, CENTERED),
    arrow(68, 42, theme.pass),
    box(16, GATEWAY_TOP, WIDTH - 32, GATEWAY_HEIGHT, theme.gateway, theme.line),
    text(37, GATEWAY_TOP + 29, 'Sallyport', theme.text, 20, BOLD),
    text(452, GATEWAY_TOP + 29, 'refused', theme.refusal, 16, ' text-anchor="end"'),
    ...CHECKS.map((_, index) => check(index, theme)),
    arrow(GATEWAY_TOP + GATEWAY_HEIGHT, 42, theme.pass),
    box(70, SERVICE_TOP, 340, 64, theme.box, theme.line),
    text(MIDDLE, SERVICE_TOP + 26, 'your service', theme.text, 18, CENTERED + BOLD),
    text(MIDDLE, SERVICE_TOP + 49, 'X-User-Id: alice, and no token', theme.faint, 16, CENTERED),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif">
  <title>The way of a request</title>
  ${parts.join('\n  ')}
</svg>
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const name of ['light', 'dark'] as const)
    writeFileSync(new URL(`request-way-${name}.svg`, import.meta.url), requestWay(THEMES[name]));
