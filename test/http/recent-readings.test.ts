/** What was read is remembered, within a bound, whatever has come before. */
import t from 'tap';
import { RecentReadings } from '../../src/http/recent-readings.ts';

t.test('a text that comes again and again stays, whatever else comes', async (t) => {
  const recent = new RecentReadings<number>({ most: 10 });
  recent.add('in use', 0);
  for (let index = 0; index < 1_000; index++) {
    recent.add(`odd ${index}`, index);
    t.equal(recent.get('in use'), 0, `after ${index + 1} other texts`);
  }
  t.equal(recent.get('odd 0'), undefined);
});

t.test('a text that comes when the tables are full is remembered', async (t) => {
  const recent = new RecentReadings<number>({ most: 10 });
  for (let index = 0; index < 1_000; index++) recent.add(`odd ${index}`, index);
  recent.add('new', 7);
  t.equal(recent.get('new'), 7);
});

t.test('never more than two tables', async (t) => {
  const recent = new RecentReadings<number>({ most: 10 });
  const texts = Array.from({ length: 1_000 }, (_, index) => `odd ${index}`);
  for (const [index, text] of texts.entries()) recent.add(text, index);
  t.ok(texts.filter((text) => recent.get(text) !== undefined).length <= 20);
});

t.test('a text beyond the bound of characters is not remembered', async (t) => {
  const recent = new RecentReadings<number>({ mostCharacters: 5 });
  recent.add('12345', 1);
  recent.add('123456', 2);
  t.same([recent.get('12345'), recent.get('123456')], [1, undefined]);
});
