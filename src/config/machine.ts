/**
 * What the configuration needs to know of the machine: cores, memory, a name, and fresh randomness.
 *
 * Role: handed to `compile.ts` as a value, so that compiling is a function of its arguments. In a container the
 * limits of the container count, not those of the host.
 */
import { randomBytes } from 'node:crypto';
import { availableParallelism, hostname, totalmem } from 'node:os';

export interface Machine {
  readonly cores: number;
  readonly memoryMiB: number;
  /** Name for a node that was given none. */
  readonly nodeId: string;
  /** Seal for request state when none was given: good for one node, for one run. */
  readonly stateSecret: string;
}

const MIB = 1024 * 1024;
const NAME_CHARACTERS_MAX = 100;

export function thisMachine(): Machine {
  const constrained = process.constrainedMemory();
  const bytes = constrained > 0 ? Math.min(totalmem(), constrained) : totalmem();
  const name = hostname()
    .replace(/[^0-9A-Za-z._-]/g, '-')
    .slice(0, NAME_CHARACTERS_MAX);
  return {
    cores: availableParallelism(),
    memoryMiB: Math.floor(bytes / MIB),
    nodeId: `${name}-${randomBytes(4).toString('hex')}`,
    stateSecret: randomBytes(32).toString('base64url'),
  };
}
