/**
 * A directory of a test's own, gone after it; before it goes, LMDB environments in it are closed and processes ended.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LmdbEnvironment, type LmdbOptions } from '../../../src/streams/lmdb/open.ts';
import type { Child } from './child.ts';

export class Scratch implements AsyncDisposable {
  /** The dot: names with one are the trap. */
  readonly directory = mkdtempSync(join(tmpdir(), 'millrace-v1.0-'));
  readonly #environments: LmdbEnvironment[] = [];
  readonly #children: Child[] = [];

  /** `name`: of the database's directory, not made yet. */
  open(name = 'data.d', options: LmdbOptions = {}): LmdbEnvironment {
    const environment = new LmdbEnvironment(join(this.directory, name), options);
    this.#environments.push(environment);
    return environment;
  }

  /** The process does not outlive the test, however that ends. */
  own(child: Child): Child {
    this.#children.push(child);
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) await child.kill();
    for (const environment of this.#environments) await environment.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
