/**
 * Asks another thread what its heap holds, also while that thread is in a loop of JavaScript that never ends.
 *
 * Role: the only place that speaks to V8's inspector. A worker answers it in an interrupt, on every Node.js there is;
 * `Worker.getHeapStatistics` does the same from 22.16 on, and cannot collect. Sampling is begun and ended at once only
 * because V8 collects all garbage for a heap profile, there and then, where `collectGarbage` waits for the event loop.
 * Nothing is connected until somebody asks, nor after `rest`. No port is opened.
 * A thread in native code answers when it comes back. Every question is answered in the end, with null if need be.
 */
import type { Session } from 'node:inspector';
import { isMainThread } from 'node:worker_threads';
import type { HeapProbe, PoolWorker } from './port.ts';

/** No allocation is sampled: they would have to add up to this within the moment that it lasts. */
const SAMPLING_BYTES = 2 ** 30;

interface Answer {
  readonly id: number;
  readonly result?: { readonly usedSize?: number };
  readonly error?: object;
}

interface Question {
  readonly sessionId: string;
  readonly resolve: (answer: Answer | null) => void;
}

function newSession(): Session {
  const session = new (process.getBuiltinModule('node:inspector').Session)();
  session.connect();
  return session;
}

/** Null where threads cannot be asked: Node.js without inspector, or not allowed to use it, or a worker itself. */
export function openHeapProbe(): HeapProbe | null {
  if (!isMainThread) return null;
  try {
    newSession().disconnect();
  } catch {
    // It says in many ways that there is none, and what follows is the same for all.
    return null;
  }
  return new InspectorProbe();
}

class InspectorProbe implements HeapProbe {
  #session: Session | null = null;
  /** Sessions of threads by thread id. */
  readonly #sessionIds = new Map<number, string>();
  readonly #questions = new Map<number, Question>();
  #questionId = 0;

  async usedBytes(worker: PoolWorker): Promise<number | null> {
    const answer = await this.#ask(worker, 'Runtime.getHeapUsage');
    return answer?.result?.usedSize ?? null;
  }

  async collect(worker: PoolWorker): Promise<void> {
    const begun = await this.#ask(worker, 'HeapProfiler.startSampling', { samplingInterval: SAMPLING_BYTES });
    // Whoever else samples that thread must not be stopped.
    if (begun !== null && begun.error === undefined) await this.#ask(worker, 'HeapProfiler.stopSampling');
  }

  rest(): void {
    if (this.#session === null) return;
    this.#session.disconnect();
    this.#session = null;
    this.#sessionIds.clear();
    for (const { resolve } of this.#questions.values()) resolve(null);
    this.#questions.clear();
  }

  #connected(): Session {
    if (this.#session !== null) return this.#session;
    const session = newSession();
    this.#session = session;
    session.on('NodeWorker.attachedToWorker', ({ params: { sessionId, workerInfo } }) => {
      // `[worker 7] name`
      const threadId = Number(/\d+/.exec(workerInfo.title)?.[0]);
      this.#sessionIds.set(threadId, sessionId);
    });
    session.on('NodeWorker.detachedFromWorker', ({ params }) => this.#detached(params.sessionId));
    session.on('NodeWorker.receivedMessageFromWorker', ({ params }) => {
      const answer: Answer = JSON.parse(params.message);
      this.#questions.get(answer.id)?.resolve(answer);
      this.#questions.delete(answer.id);
    });
    session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
    return session;
  }

  #detached(sessionId: string): void {
    for (const [threadId, candidate] of this.#sessionIds)
      if (candidate === sessionId) this.#sessionIds.delete(threadId);
    for (const [id, question] of this.#questions) {
      if (question.sessionId !== sessionId) continue;
      this.#questions.delete(id);
      question.resolve(null);
    }
  }

  #ask(worker: PoolWorker, method: string, params: object = {}): Promise<Answer | null> {
    const session = this.#connected();
    const sessionId = this.#sessionIds.get(worker.threadId);
    if (sessionId === undefined) return Promise.resolve(null);
    this.#questionId += 1;
    const id = this.#questionId;
    return new Promise((resolve) => {
      this.#questions.set(id, { sessionId, resolve });
      session.post('NodeWorker.sendMessageToWorker', { sessionId, message: JSON.stringify({ id, method, params }) });
    });
  }
}
