/**
 * A directory of a test's own, gone after it, and LMDB environments in it that are closed before it goes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LmdbEnvironment, type LmdbOptions } from '../../../src/streams/lmdb/open.ts';

export class Scratch implements AsyncDisposable {
  /** The dot: names with one are the trap. */
  readonly directory = mkdtempSync(join(tmpdir(), 'millrace-v1.0-'));
  readonly #environments: LmdbEnvironment[] = [];

  /** `name`: of the database's directory, not made yet. */
  open(name = 'data.d', options: LmdbOptions = {}): LmdbEnvironment {
    const environment = new LmdbEnvironment(join(this.directory, name), options);
    this.#environments.push(environment);
    return environment;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const environment of this.#environments) await environment.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
