/**
 * Webhook calls that wait: bounded by number and by bytes, the newest stay, and every one that is given up is counted and
 * told. The receiver is a real one that takes its time.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import {
  BYTES_PENDING_MAX,
  CALLS_PENDING_MAX,
  type WebhookCall,
  WebhookCalls,
} from '../../../src/streams/alerts/webhook-calls.ts';
import type { RaisedAlert } from '../../../src/streams/engine/port.ts';

const SETTLED_MS = 60_000;
const MIB = 2 ** 20;

interface Receiver {
  readonly url: string;
  /** Ids that were taken, in order. */
  readonly taken: string[];
  /** Answers what waits, and whatever comes from now on. */
  open(): void;
  close(): Promise<void>;
}

async function closedReceiver(): Promise<Receiver> {
  const taken: string[] = [];
  const waiting: (() => void)[] = [];
  let isOpen = false;
  const take = (id: string, response: ServerResponse): void => {
    taken.push(id);
    response.writeHead(200).end();
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { id } = JSON.parse(Buffer.concat(chunks).toString()) as { id: string };
      if (isOpen) take(id, response);
      else waiting.push(() => take(id, response));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    taken,
    open() {
      isOpen = true;
      for (const answer of waiting.splice(0)) answer();
    },
    close() {
      server.closeAllConnections();
      server.close();
      return once(server, 'close').then(() => undefined);
    },
  };
}

function callOf(url: string, number: number, bytes: number): WebhookCall {
  const key = { k: 'x'.repeat(bytes) };
  const bounds = { start: 0, end: 1, pane: 0, timing: 'on-time', final: true } as const;
  const alert: RaisedAlert = {
    ...{ id: String(number), stream: 's', alert: 'hot', severity: 'info', state: 'raised', message: '', atMs: 0 },
    ...{ key: {}, result: { id: String(number), stream: 's', name: 'w', key, ...bounds, values: {} } },
  };
  return { url, headers: {}, alert };
}

const idsOf = (calls: WebhookCalls): number[] => calls.pending().map(({ alert }) => Number(alert.id));

/** Numbers from … to. */
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

interface Told {
  readonly alert: string;
  readonly message: string;
}

async function withCalls(work: (calls: WebhookCalls, hook: Receiver, told: Told[]) => Promise<void>): Promise<void> {
  const hook = await closedReceiver();
  const told: Told[] = [];
  const calls = new WebhookCalls({
    warn: (fields, message) => told.push({ alert: (fields as { alert: string }).alert, message }),
  });
  try {
    await work(calls, hook, told);
  } finally {
    calls.close();
    await hook.close();
  }
}

test('by their bytes: the oldest are given up, counted and told, the others are taken in order', async () => {
  await withCalls(async (calls, hook, told) => {
    const most = BYTES_PENDING_MAX / MIB - 1;
    const last = 3 * most;
    for (const number of range(0, last)) calls.push(callOf(hook.url, number, MIB));
    // The first one is being called. Each is a little more than its key.
    const kept = [0, ...range(last - most + 1, last)];
    assert.deepEqual(idsOf(calls), kept);
    assert.deepEqual(
      told.map(({ alert }) => Number(alert)),
      range(1, last - most),
    );
    assert.ok(told.every(({ message }) => /the oldest is given up/.test(message)));
    assert.deepEqual([calls.lost('s'), calls.lost('other')], [last - most, 0]);
    hook.open();
    await calls.settled(SETTLED_MS);
    assert.deepEqual(hook.taken.map(Number), kept);
    // What was taken makes room.
    for (const number of range(0, most)) calls.push(callOf(hook.url, number, MIB));
    await calls.settled(SETTLED_MS);
    assert.equal(hook.taken.length, kept.length + most + 1);
  });
});

test('by their number, where they are small', async () => {
  await withCalls(async (calls, hook) => {
    for (const number of range(0, CALLS_PENDING_MAX + 4)) calls.push(callOf(hook.url, number, 1));
    assert.deepEqual(idsOf(calls), [0, ...range(6, CALLS_PENDING_MAX + 4)]);
    assert.equal(calls.lost('s'), 5);
  });
});

test('the newest is not given up, however large it is', async () => {
  await withCalls(async (calls, hook) => {
    const sizes = [1, 1, BYTES_PENDING_MAX + 1];
    for (const [number, bytes] of sizes.entries()) calls.push(callOf(hook.url, number, bytes));
    assert.deepEqual(idsOf(calls), [0, 2]);
    calls.push(callOf(hook.url, 3, 1));
    assert.deepEqual(idsOf(calls), [0, 3]);
  });
});

test('one that cannot be written is given up, and those behind it go on', async () => {
  await withCalls(async (calls, hook, told) => {
    hook.open();
    const [first, second] = [callOf(hook.url, 0, 1), callOf(hook.url, 1, 1)];
    calls.push({ ...first, headers: { 'x-bad': 'one\ntwo' } });
    calls.push(second);
    await calls.settled(SETTLED_MS);
    assert.deepEqual([hook.taken, calls.lost('s'), calls.pending().length], [['1'], 1, 0]);
    assert.match(told[0]?.message ?? '', /refuses it for good/);
  });
});
