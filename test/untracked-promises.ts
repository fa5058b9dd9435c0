/**
 * Loaded before each test file (`run.ts`): Node's runner does not follow every promise that is made.
 *
 * It would, to know which test an error that nobody caught belongs to, by a hook on the making and the end of each of them;
 * that is half of the processor time of a test with many [measured: 100,500 batches, 21 s, and 10 s without]. Such an error
 * still fails its file, and is shown, but under the name of no test. What else the hook is for is told here without one:
 * which test is at work when another is declared within it.
 */
import hooks, { type HookCallbacks } from 'node:async_hooks';
import { isMainThread } from 'node:worker_threads';

async function loadRunner(): Promise<void> {
  const { AsyncResource, createHook } = hooks;
  let ofRunner: HookCallbacks = {};
  const hook = { enable: () => hook, disable: () => hook };
  class Told extends AsyncResource {
    constructor(...args: ConstructorParameters<typeof AsyncResource>) {
      super(...args);
      ofRunner.init?.(this.asyncId(), args[0], this.triggerAsyncId(), this);
    }
  }
  const create = (callbacks: HookCallbacks): typeof hook => {
    ofRunner = callbacks;
    return hook;
  };
  Object.assign(hooks, { AsyncResource: Told, createHook: create });
  await import('node:test');
  Object.assign(hooks, { AsyncResource, createHook });
}

// Programs that a test starts with its own arguments have no use for it. Node.js 22 and 24 have been told twice: `run.ts`.
for (;;) {
  const at = process.execArgv.indexOf(import.meta.url);
  if (at <= 0) break;
  process.execArgv.splice(at - 1, 2);
}
if (isMainThread) await loadRunner();
