/** Reads a log line by line, from a file or standard input, in bounded memory. */
import { createReadStream } from 'node:fs';
import { CommandFailed } from './command.ts';
import { LineSplitter } from './line-splitter.ts';

/**
 * @param file `-` is standard input
 * @param take gets each line without its end, and its number, from 1
 * @throws CommandFailed where it cannot be read
 */
export async function readLog(file: string, take: (line: string, number: number) => void): Promise<void> {
  let number = 0;
  const splitter = new LineSplitter((bytes) => {
    const lines = bytes.toString('utf8').split('\n');
    // Each line has its end: behind the last one is nothing.
    for (const line of lines.slice(0, -1)) take(line, ++number);
  });
  try {
    const source = file === '-' ? process.stdin : createReadStream(file);
    for await (const bytes of source as AsyncIterable<Buffer>) splitter.add(bytes);
  } catch (error) {
    throw new CommandFailed(`the log ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  splitter.end();
}
