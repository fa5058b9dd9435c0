/**
 * A temporary folder of tool files, written by tests and removed after them.
 */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export interface ToolDir {
  readonly dir: string;
  /** Replaces the file in one step, as a careful editor does. */
  write(name: string, text: string): Promise<void>;
  remove(name: string): Promise<void>;
}

export async function makeToolDir(context: TestContext): Promise<ToolDir> {
  const dir = await mkdtemp(join(tmpdir(), 'millrace-tools-'));
  context.after(() => rm(dir, { recursive: true, force: true }));
  return {
    dir,
    async write(name, text) {
      const draft = join(dir, `.draft-${name}`);
      await writeFile(draft, text);
      await rename(draft, join(dir, name));
    },
    remove: (name) => rm(join(dir, name)),
  };
}

/** Source of a module with one tool, whose handler answers with `answer`. */
export function toolSource(name: string, answer: string, description = 'A tool.'): string {
  return `export const it = { kind: 'tool', name: '${name}', description: '${description}', handler: () => '${answer}' };\n`;
}
