/** The causes of an outage, in the log. */
import t from 'tap';
import { OutageCauses } from '../../src/telemetry/outage-causes.ts';

t.test(
  'each further cause of an outage is told once, eight at most, and the next outage begins with its own',
  async (t) => {
    const causes = new OutageCauses();
    t.equal(causes.begin(new Error('Connection is closed.')), 'Connection is closed.');
    t.equal(causes.another(new Error('Connection is closed.')), undefined);
    t.equal(causes.another(new Error('NOAUTH')), 'NOAUTH');
    t.equal(causes.another(new Error('NOAUTH')), undefined);
    const told = Array.from({ length: 100 }, (_, index) => causes.another(new Error(`other ${index}`)));
    t.equal(told.filter((cause) => cause !== undefined).length, 6);
    t.equal(causes.begin(new Error('NOAUTH')), 'NOAUTH');
    t.equal(causes.another(new Error('Connection is closed.')), 'Connection is closed.');
  },
);
