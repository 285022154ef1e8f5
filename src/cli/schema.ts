import { configurationJsonSchema } from '../config/schema.ts';
import { printJson, type Command } from './command.ts';

export const schema: Command = {
  name: 'schema',
  summary: 'prints the JSON Schema of the configuration',
  usage: '',
  options: {},
  async run() {
    printJson(configurationJsonSchema());
    return 0;
  },
};
