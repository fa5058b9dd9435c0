/**
 * What Piscina loads into a thread: the way to `worker.ts`, which it must not `require` itself.
 *
 * Piscina tries `require` before `import`. Node.js (20.20, 22, 24) ends the whole process with a failed assertion when a
 * thread is terminated while it requires an ES module, and a pool that is closed, or whose thread is killed, while it
 * starts does just that. A module that awaits at its top is refused by `require` before anything of it is loaded, and
 * `import` can be interrupted at any time.
 */
export const { runTask } = await import('./worker.ts');
