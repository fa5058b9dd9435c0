/** Which native build is taken, and that nothing else ever is. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import { loadNative, type Require } from '../../src/frontend/uws/load.ts';

/** Packages by what their files give; a function is called and may throw. */
function requireOf(files: Record<string, () => unknown>): Require {
  const find = (id: string): unknown => {
    const file = Object.keys(files).find((name) => id.endsWith(name));
    if (file === undefined) throw new Error(`Cannot find module '${id}'\nRequire stack:\n- /a.js`);
    return files[file]?.();
  };
  return Object.assign(find, {
    resolve: (id: string) => (id.endsWith('package.json') ? `/p/${id}` : `/p/${id}/main.js`),
  });
}

/** A function that shows as native, as those of an addon do. */
const native = { App: Math.max };
const scripted = { App: () => undefined };

describe('loading uWebSockets.js', () => {
  test('takes the first package when it loads', () => {
    const found = loadNative(
      undefined,
      requireOf({ 'uWebSockets.js': () => native, 'uWebSockets.js/package.json': () => ({ version: '20.57.0' }) }),
    );
    assert.deepEqual(found, { native, description: 'uWebSockets.js 20.57.0' });
  });

  test('takes the binary of the second when the first does not load', () => {
    const found = loadNative(
      undefined,
      requireOf({
        'uWebSockets.js': () => {
          throw new Error("supports only some\n\nError: version `GLIBC_2.38' not found");
        },
        '.node': () => native,
        'package.json': () => ({ version: '20.30.0' }),
      }),
    );
    assert.deepEqual(found, { native, description: '@trufflesuite/uws-js-unofficial 20.30.0' });
  });

  test('refuses an implementation in JavaScript', () => {
    const found = loadNative(
      undefined,
      requireOf({
        'uWebSockets.js': () => scripted,
        '.node': () => scripted,
        'package.json': () => ({ version: '1' }),
      }),
    );
    assert.deepEqual(found, {
      reasons: ['uWebSockets.js: not a native module', '@trufflesuite/uws-js-unofficial: not a native module'],
    });
  });

  test('gives one short reason for each package that is missing or does not load', () => {
    const found = loadNative(
      undefined,
      requireOf({
        'uWebSockets.js': () => {
          throw new Error("This version supports only some\n\nError: version `GLIBC_2.38' not found");
        },
      }),
    );
    assert.ok('reasons' in found);
    assert.match(found.reasons[0] ?? '', /^uWebSockets\.js: Error: version `GLIBC_2\.38' not found$/);
    assert.match(found.reasons[1] ?? '', /^@trufflesuite\/uws-js-unofficial: Cannot find module/);
  });

  test('prints nothing, whatever is installed', (t) => {
    const written = [
      t.mock.method(console, 'log', () => undefined),
      t.mock.method(console, 'warn', () => undefined),
      t.mock.method(console, 'error', () => undefined),
    ];
    loadNative(undefined, createRequire(import.meta.url));
    for (const method of written) assert.equal(method.mock.callCount(), 0);
  });
});
