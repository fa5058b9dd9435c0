/**
 * The client's package, loaded when the first connection is made: a tenth of a second of processor time at the start,
 * and memory, that a process which could use Redis and does not would spend for nothing.
 */
import { createRequire } from 'node:module';

type ClientModule = typeof import('ioredis');

let loaded: ClientModule | null = null;

export function clientModule(): ClientModule {
  loaded ??= createRequire(import.meta.url)('ioredis') as ClientModule;
  return loaded;
}
