/**
 * What Piscina loads into a thread: the way to `worker.ts`, as a CommonJS file.
 *
 * Piscina tries `require` before `import`. Node.js (20.20, 22, 24) ends the whole process with a failed assertion when a
 * thread is terminated while it requires an ES module, one that it then refuses because it awaits at its top included;
 * and a pool that is closed, or whose thread is killed, while it starts does just that. A CommonJS file never gets
 * there, and its `import` can be interrupted at any time. What is exported is a promise, for which Piscina waits.
 */
exports.runTask = import('./worker.ts').then(({ runTask }) => runTask);
