/**
 * Clients that call one after the other for as long as they are let, and write down what went wrong.
 *
 * Role: beside the open-loop load of stateless calls, what else people do while nodes are replaced: calls in sessions,
 * calls with an idempotency key, tasks that are begun, asked for and awaited.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { REVISION_2025_11_25 } from '../../../src/protocol/revisions.ts';
import { TASK_CLIENT } from '../../tasks/node-pair.ts';
import { type Answer, metaOf, Session, Stateless } from '../../wire/raw-clients.ts';

const BETWEEN_MS = 50;
const POLL_MS = 100;
const TASK_MS_MAX = 30_000;

/** `''`: it went well. */
type Attempt = (text: string) => Promise<string>;

export class SteadyClient {
  readonly problems: string[] = [];
  count = 0;
  readonly #attempt: Attempt;
  readonly #name: string;
  readonly #run: Promise<void>;
  #stopped = false;

  constructor(name: string, attempt: Attempt) {
    this.#name = name;
    this.#attempt = attempt;
    this.#run = this.#loop();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#run;
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      const problem = await this.#attempt(`${this.#name} ${this.count}`).catch(String);
      this.count++;
      if (problem !== '') this.problems.push(`${this.#name} ${this.count}: ${problem}`);
      await delay(BETWEEN_MS);
    }
  }
}

const problemOf = (answer: Answer, text: string): string =>
  answer.status === 200 && JSON.stringify(answer.result).includes(text)
    ? ''
    : `${answer.status} ${JSON.stringify(answer.last)}`;

/** Calls in a session; its node is whichever the balancer takes. */
export async function sessionCalls(url: string): Promise<SteadyClient> {
  const session = await Session.begin(url, REVISION_2025_11_25);
  return new SteadyClient('session', async (text) => problemOf(await session.call('echo', { text }), text));
}

/** Each call twice under one key, as somebody does who is not sure: both are answered alike. */
export function keyedCalls(url: string): SteadyClient {
  const client = new Stateless(url);
  return new SteadyClient('key', async (text) => {
    const headers = { 'idempotency-key': randomUUID() };
    const call = () => client.request('tools/call', { name: 'count', arguments: {} }, headers);
    const [first, second] = [await call(), await call()];
    const same = first.status === 200 && JSON.stringify(first.result) === JSON.stringify(second.result);
    return same ? '' : `${text}: ${JSON.stringify(first.last)} and then ${JSON.stringify(second.last)}`;
  });
}

/** Tasks, each awaited by asking whichever node is there. */
export function tasks(url: string): SteadyClient {
  const client = new Stateless(url);
  const meta = { _meta: metaOf(TASK_CLIENT) };
  return new SteadyClient('task', async (text) => {
    const begun = await client.call('work', { text }, meta);
    const taskId = begun.result['taskId'];
    if (typeof taskId !== 'string') return `not begun: ${begun.status} ${JSON.stringify(begun.last)}`;
    const untilMs = performance.now() + TASK_MS_MAX;
    while (performance.now() < untilMs) {
      const { last, result, status } = await client.request('tasks/get', { taskId, ...meta });
      if (status !== 200 || result['status'] === 'failed') return `${taskId}: ${status} ${JSON.stringify(last)}`;
      if (result['status'] === 'completed') return JSON.stringify(result).includes(text) ? '' : JSON.stringify(result);
      await delay(POLL_MS);
    }
    return `${taskId}: no end within ${TASK_MS_MAX} ms`;
  });
}
