/** When an authority that gives no response is left alone, and for whom. Rules I11, C23. */
import t from 'tap';
import { CircuitBreaker } from '../../src/token/circuit-breaker.ts';

class Steps {
  ms = 1_000;
  readonly nowMs = (): number => this.ms;
  readonly monotonicMs = (): number => this.ms;
  readonly after = (): (() => void) => () => undefined;
}

function breaker() {
  const clock = new Steps();
  const circuit = new CircuitBreaker(clock);
  return {
    clock,
    circuit,
    /** A call that ends without a response, a millisecond later. */
    fail: (token: string, client: string, unreachable = false): void => {
      const startedAtMs = clock.ms++;
      circuit.failed({ token, client, startedAtMs }, unreachable);
    },
  };
}

t.test('three connections that cannot be made open it for everyone; one probe closes it', async (t) => {
  const { clock, circuit, fail } = breaker();
  for (let index = 0; index < 2; index++) fail('same', 'a', true);
  t.equal(circuit.enter('b'), 0);
  fail('same', 'a', true);
  t.strictSame([circuit.enter('a'), circuit.enter('b')], [1, 1]);
  clock.ms += 1_000;
  t.equal(circuit.enter('b'), 0, 'the probe');
  t.equal(circuit.enter('c'), 1, 'there is one probe at a time');
  circuit.responded();
  t.strictSame([circuit.enter('a'), circuit.enter('c')], [0, 0]);
});

t.test('C23 timeouts of one client, with however many tokens, shut it for that client alone', async (t) => {
  const { circuit, fail } = breaker();
  for (let index = 0; index < 1_000; index++) fail(`token-${index}`, 'attacker');
  t.ok(circuit.enter('attacker') > 0);
  t.equal(circuit.enter('other'), 0);
});

t.test('timeouts of one token never open it, whichever client presents it', async (t) => {
  const { circuit, fail } = breaker();
  for (let index = 0; index < 100; index++) fail('same', `client-${index}`);
  t.equal(circuit.enter('client-1'), 0);
});

t.test('timeouts of three tokens of two clients open it for everyone', async (t) => {
  const { circuit, fail } = breaker();
  fail('one', 'a');
  fail('two', 'a');
  fail('three', 'b');
  t.ok(circuit.enter('c') > 0);
});

t.test('C23 a call that hangs while others get responses counts for nothing', async (t) => {
  const { clock, circuit } = breaker();
  const startedAtMs = clock.ms;
  clock.ms += 2_000;
  circuit.responded();
  clock.ms += 10;
  for (let index = 0; index < 10; index++)
    circuit.failed({ token: `token-${index}`, client: `client-${index}`, startedAtMs }, false);
  t.equal(circuit.enter('client-0'), 0);
});

t.test('C23 after a probe that failed, other clients may probe before the one that sent it', async (t) => {
  const { clock, circuit, fail } = breaker();
  for (let index = 0; index < 3; index++) fail('same', 'a', true);
  clock.ms += 1_000;
  t.equal(circuit.enter('attacker'), 0, 'its probe');
  fail('hangs', 'attacker');
  clock.ms += 2_000;
  t.equal(circuit.enter('attacker'), 1);
  t.equal(circuit.enter('other'), 0);
});

t.test('a pause grows to ten seconds, and calls that were in flight do not make it grow', async (t) => {
  const { clock, circuit, fail } = breaker();
  const startedAtMs = clock.ms;
  for (let index = 0; index < 16; index++) circuit.failed({ token: 'same', client: 'a', startedAtMs }, true);
  t.equal(circuit.enter('b'), 1, 'sixteen calls at once are one outage');
  for (const client of ['b', 'c', 'd', 'e', 'f', 'g']) {
    clock.ms += 10_000;
    t.equal(circuit.enter(client), 0);
    fail('same', client, true);
  }
  t.equal(circuit.enter('h'), 10);
});
