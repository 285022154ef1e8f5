/** The examples of docs/identity.md in languages whose compilers take their time. The others: test/identity/reader.test.ts. */
import t from 'tap';
import { testExample } from '../support/identity-examples.ts';

for (const language of ['go', 'java']) testExample(t, language);
