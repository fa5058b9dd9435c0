/**
 * A worker thread: what `entry.cts` loads. `runTask` runs one batch of board slots.
 *
 * Role: joins the runner to the thread's messages. Results of synchronous jobs are complete when the batch's promise
 * resolves; as soon as a job of a batch is pending, what is done already is announced over the control port, and each
 * pending one when it settles, so that nobody waits for a neighbour.
 */
import { isMainThread, MessageChannel, parentPort, threadId, workerData } from 'node:worker_threads';
import { JobBoard } from '../src/dispatch/job-board.ts';
import type { Batch, ControlIn, ControlOut, OverflowBody, OverflowResult, WorkerSetup } from '../src/pool/port.ts';
import { RequestStateCodec } from '../src/protocol/request-state.ts';
import { SharedSecret } from '../src/protocol/shared-secret.ts';
import type { StreamAnswer, StreamMessage } from '../src/streams/engine/task.ts';
import { ResultEncoder } from './encode-result.ts';
import { ManifestHost } from './manifest-host.ts';
import type { RunnerPort } from './port.ts';
import { JobRunner, RAN } from './runner.ts';
import { answerStream, onStreamTasks } from './stream-door.ts';
import { guardThread } from './thread-guard.ts';

/** How often the thread shows that its event loop turns. */
const BEAT_MS = 25;
/** How often it says that its heap is full, while it is. */
const FULL_MS = 100;
/** Before the first batch. */
const NO_HEADER = -1;

if (isMainThread || parentPort === null) throw new Error('workers/worker is loaded by the pool, in a worker thread');

// Piscina wraps the setup it passes on; its second element is ours.
const setup: WorkerSetup = Array.isArray(workerData) ? workerData[1] : workerData;
const board = new JobBoard(setup.board, setup.boardWorkers, setup.boardSlots);
const channel = new MessageChannel();
const control = channel.port1;

/** Control messages posted. */
let posted = 0;

/** Until the first batch tells which header is this thread's, it must not write to any. */
function send(message: ControlOut): void {
  control.postMessage(message);
  posted += 1;
  if (runner.worker !== NO_HEADER) board.setPosted(runner.worker, posted);
}

/** What settled in this turn, announced together: slots, and their sequence numbers. */
let settledSlots: number[] = [];
let settledSequences: number[] = [];
let settledOverflow: OverflowResult[] = [];

function announceSettled(): void {
  if (settledSlots.length === 0) return;
  send({ type: 'done', slots: settledSlots, sequences: settledSequences, overflow: settledOverflow });
  settledSlots = [];
  settledSequences = [];
  settledOverflow = [];
}

const port: RunnerPort = {
  emit: (slot, sequence, message, progress) => send({ type: 'emit', slot, sequence, message, progress }),
  ask: (slot, sequence, askId, method, paramsJson, key) =>
    send({ type: 'ask', slot, sequence, askId, method, paramsJson, key }),
  task: (slot, sequence, ttlMs, pollIntervalMs) => send({ type: 'task', slot, sequence, ttlMs, pollIntervalMs }),
  release: (slot, sequence, retryMs) => send({ type: 'release', slot, sequence, retryMs }),
  publish: (change) => send({ type: 'publish', change }),
  forget: (tool) => send({ type: 'forget', tool }),
  log: (level, entry, correlationId, message) => send({ type: 'log', level, entry, correlationId, message }),
  stray: (entryKey, kind, message) => send({ type: 'stray', entryKey, kind, message }),
  settled(slot, sequence, overflow) {
    if (settledSlots.length === 0) setImmediate(announceSettled);
    settledSlots.push(slot);
    settledSequences.push(sequence);
    if (overflow !== null) settledOverflow.push({ slot, sequence, bytes: overflow });
  },
};

const host = new ManifestHost();
const runner = new JobRunner({
  board,
  worker: NO_HEADER,
  port,
  host,
  encoder: new ResultEncoder(setup.server),
  codec: new RequestStateCodec(new SharedSecret(setup.stateSecret)),
  resultBytesMax: setup.resultBytesMax,
  jsonDepthMax: setup.jsonDepthMax,
});

guardThread((kind, stack) => port.stray(host.keyInStack(stack), kind, stack));

control.on('message', (message: ControlIn) => {
  if (message.type === 'look') look();
  else if (message.type === 'cancel') runner.cancel(message.slot, message.sequence, message.reason);
  else if (message.type === 'answer')
    runner.answer(message.slot, message.sequence, message.askId, message.resultJson, message.error);
  else runner.taskStarted(message.slot, message.sequence, message.taskId);
});

let toldFullAtMs = Number.NEGATIVE_INFINITY;

function beat(): void {
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  if (runner.worker !== NO_HEADER) board.beat(runner.worker, Math.round(arrayBuffers / 1048576));
  if (setup.heapBytesMax > 0 && heapUsed > setup.heapBytesMax) tellFull();
}

function tellFull(): void {
  const nowMs = performance.now();
  if (nowMs - toldFullAtMs < FULL_MS) return;
  toldFullAtMs = nowMs;
  send({ type: 'full' });
}

setInterval(beat, BEAT_MS);

let streamTasks = 0;
onStreamTasks((count) => {
  streamTasks = count;
  if (runner.worker !== NO_HEADER) board.setStreamTasks(runner.worker, count);
});

/** Microtask turns given to handlers that are asynchronous in form only, before the batch is answered. */
const GRACE_TURNS = 4;

/** How long one batch goes on taking jobs from the mailbox, and after how many it looks at the clock. */
const MAILBOX_MS_MAX = 0.5;
const CLOCK_EVERY = 4;

/** What the pool calls, for both kinds of message. A batch is answered with the results too large for their slots. */
export function runTask(
  message: Batch | StreamMessage,
): OverflowResult[] | null | Promise<OverflowResult[] | null> | Promise<StreamAnswer> {
  return 'task' in message ? answerStream(message) : runBatch(message);
}

function runBatch(batch: Batch): OverflowResult[] | null | Promise<OverflowResult[] | null> {
  if (runner.worker === NO_HEADER) takeHeader(batch.worker);
  if (batch.manifest !== null) host.accept(batch.manifest);
  let pending = false;
  for (let i = 0; i < batch.slots.length; i++) {
    const slot = batch.slots[i] as number;
    const large = batch.overflow === null ? undefined : overflowOf(batch.overflow, slot);
    const ran = runner.run(slot, batch.sequences[i] as number, large?.body ?? null, large?.extras ?? '');
    if (ran === RAN.PENDING) pending = true;
  }
  if (emptyMailbox()) pending = true;
  return pending ? answerSoon(batch.sequences) : takeOverflow();
}

/**
 * Runs what lies in the mailbox and what comes while it does, for a bounded time: the loop has to turn, and an idle
 * front end to hear of results. True when a job is pending.
 */
function emptyMailbox(): boolean {
  const mailbox = board.mailbox(runner.worker);
  const beganMs = performance.now();
  let pending = false;
  mailbox.wake();
  for (let count = 1; ; count++) {
    if (mailbox.isEmpty()) {
      if (mailbox.sleep()) return pending;
      continue;
    }
    if (runner.run(mailbox.slotNext(), mailbox.sequenceNext(), null, '') === RAN.PENDING) pending = true;
    mailbox.take();
    if (count % CLOCK_EVERY === 0 && performance.now() - beganMs > MAILBOX_MS_MAX) break;
  }
  mailbox.leave();
  return pending;
}

function takeHeader(worker: number): void {
  runner.worker = worker;
  board.setPosted(worker, posted);
  board.setStreamTasks(worker, streamTasks);
  beat();
}

/** Sent for: the mailbox alone, without a batch. */
function look(): void {
  if (emptyMailbox()) void lookedSoon();
  else send({ type: 'looked', overflow: takeOverflow() });
}

/** What settles within a few turns is announced ahead of the word that the mailbox was gone through. */
async function lookedSoon(): Promise<void> {
  for (let turn = 0; turn < GRACE_TURNS; turn++) await null;
  const overflow = takeOverflow();
  announceSettled();
  send({ type: 'looked', overflow });
}

/** What settles within a few turns is answered with the batch, or announced together with its answer. */
async function answerSoon(sequences: readonly number[]): Promise<OverflowResult[] | null> {
  for (let turn = 0; turn < GRACE_TURNS; turn++) await null;
  const mine = new Set(sequences);
  const overflow = [...(takeOverflow() ?? []), ...settledOverflow.filter((result) => mine.has(result.sequence))];
  settledOverflow = settledOverflow.filter((result) => !mine.has(result.sequence));
  settledSlots = settledSlots.filter((_, i) => !mine.has(settledSequences[i] as number));
  settledSequences = settledSequences.filter((sequence) => !mine.has(sequence));
  announceSettled();
  return overflow.length === 0 ? null : overflow;
}

function overflowOf(overflow: readonly OverflowBody[], slot: number): OverflowBody | undefined {
  return overflow.find((candidate) => candidate.slot === slot);
}

function takeOverflow(): OverflowResult[] | null {
  if (runner.overflow.length === 0) return null;
  return runner.overflow.splice(0);
}

parentPort.postMessage({ millrace: 'hello', threadId, port: channel.port2 }, [channel.port2]);
