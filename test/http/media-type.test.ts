/** What is nearly a media type is none. */
import t from 'tap';
import { isAnyJson, isJson, mediaTypeOf } from '../../src/http/media-type.ts';

const read: Record<string, string> = {
  'application/json': 'application/json',
  'Application/JSON': 'application/json',
  'application/json; charset=utf-8': 'application/json',
  'application/json ;charset="utf-8"': 'application/json',
  'application/json;': 'application/json',
  ' application/json\t': 'application/json',
  'application/ld+json': 'application/ld+json',
  'application/x-www-form-urlencoded;charset=UTF-8': 'application/x-www-form-urlencoded',
  // Not media types.
  '': '',
  json: '',
  '/json': '',
  'application/': '',
  'application/json/x': '',
  'application/json, text/html': '',
  'application/json,application/json': '',
  'application /json': '',
  'application/ json': '',
  '\u00a0application/json': '',
  'application/json\u00a0': '',
  'application/json\u0000': '',
  'application/json x': '',
  'application/json\n; x': '',
  '"application/json"': '',
};

for (const [value, mediaType] of Object.entries(read)) {
  t.test(`${JSON.stringify(value)} is ${mediaType === '' ? 'no media type' : mediaType}`, async (t) => {
    t.equal(mediaTypeOf([value]), mediaType);
  });
}

t.test('no Content-Type and two of them are none', async (t) => {
  t.equal(mediaTypeOf([]), '');
  t.equal(mediaTypeOf(['application/json', 'application/json']), '');
});

t.test('application/json is JSON; with a suffix it is another type, in JSON', async (t) => {
  const any = ['application/json', 'application/ld+json', 'application/problem+json', 'application/a+b+json'];
  for (const type of any) {
    t.equal(isJson(type), type === 'application/json', type);
    t.ok(isAnyJson(type), type);
  }
  for (const type of [
    '',
    'text/json',
    'application/jsonp',
    'application/xjson',
    'application/+json',
    'application/json+ld',
    'application/json5',
    'application/x-json',
  ])
    t.notOk(isJson(type) || (type !== '' && isAnyJson(type)), type);
});
