/**
 * One measurement in a process of its own: what one leaves behind in heap and compiled code, the next does not find.
 *
 * Role: starts `peer-process` or `nexmark-process` beside it and reads the line of JSON that it prints.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { endsWithHarness } from '../servers/ends-with-harness.ts';
import type { Measured, Refused } from './measure.ts';
import type { NexmarkArguments } from './nexmark-process.ts';
import type { PeerArguments } from './peer-process.ts';

const ERROR_CHARS_MAX = 2000;

/** Source or built, as this file is. */
const beside = (name: string): string => fileURLToPath(import.meta.url).replace(/apart\.([jt]s)$/, `${name}.$1`);

export const measurePeer = (given: PeerArguments, stopped?: AbortSignal): Promise<Measured | Refused> =>
  apart('peer-process', given, stopped);

export const measureNexmark = (given: NexmarkArguments, stopped?: AbortSignal): Promise<Measured | Refused> =>
  apart('nexmark-process', given, stopped);

function apart(name: string, given: object, stopped: AbortSignal | undefined): Promise<Measured | Refused> {
  return new Promise((resolve, reject) => {
    const args = [...process.execArgv, beside(name), JSON.stringify(given)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], signal: stopped });
    endsWithHarness(child);
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-ERROR_CHARS_MAX);
    });
    child.once('error', reject);
    child.once('close', (status) => {
      if (status !== 0) reject(new Error(`${name} ${JSON.stringify(given)} ended with ${status}: ${errors}`));
      else resolve(JSON.parse(output) as Measured | Refused);
    });
  });
}
