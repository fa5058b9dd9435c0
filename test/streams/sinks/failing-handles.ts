/**
 * Makes one call of a method of every open file fail once: what a full or broken disk does.
 */
import { type FileHandle, open } from 'node:fs/promises';

/** `appendFile`: half of it is written first. `passed`: so many calls succeed before. */
export async function failingHandles(method: 'appendFile' | 'datasync' | 'sync', passed = 0): Promise<void> {
  const sample = await open(import.meta.filename, 'r');
  const handles = Object.getPrototypeOf(sample) as FileHandle;
  await sample.close();
  const before = handles[method] as (...args: unknown[]) => Promise<void>;
  let left = passed;
  const broken = async function (this: FileHandle, ...args: unknown[]): Promise<void> {
    if (left > 0) {
      left -= 1;
      return before.apply(this, args);
    }
    Object.assign(handles, { [method]: before });
    if (method === 'appendFile') {
      const text = String(args[0]);
      await before.call(this, text.slice(0, text.length / 2));
    }
    throw new Error('ENOSPC: no space left on device');
  };
  Object.assign(handles, { [method]: broken });
}
