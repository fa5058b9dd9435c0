/**
 * `subscriptions/listen` of 2026-07-28: a request whose answer is a stream of what changed.
 *
 * Role: checks the request, acknowledges it, and fans changes of the bus out to the streams that asked for them,
 * through one bus subscription and one index. A change that nobody listens to costs one map look-up; one that many
 * listen to is encoded once, up to the stream's own id.
 * Invariants: the acknowledgement is the first message of a stream; a stream hears only what it was acknowledged for;
 * a task's changes reach only streams of the principal that owns it; `size` never passes `listenStreamsMax`, and when it
 * is reached a stream of whoever has most ends for one of somebody who has fewer (`StreamShares`).
 * Keep-alive comments, byte limits and the detection of a lost client belong to the channel.
 */
import type { Settings } from '../config/settings.ts';
import type { Log, Meters, Outcome } from '../observe/port.ts';
import type { Caller, Channel, JsonObject, OpenRequest } from '../protocol/channel.ts';
import { encodeFault, FAULTS, type Fault, fault, faultFrom, outcomeOf } from '../protocol/faults.ts';
import type { MaybePromise } from '../sessions/port.ts';
import type { Tasks } from '../tasks/port.ts';
import { changeKey, changeNamed, taskKey } from './change-key.ts';
import { type Filter, honouredJson, parseFilter } from './filter.ts';
import type { ListenPort } from './listen-port.ts';
import { ListenStream, SUBSCRIPTION_ID_KEY } from './listen-stream.ts';
import type { Bus, Change } from './port.ts';
import { StreamShares } from './stream-shares.ts';

type NamedChange = Exclude<Change, { kind: 'missed' }>;

export interface ListenOptions {
  readonly bus: Bus;
  /** Asked whether a task is the caller's own. */
  readonly tasks: Pick<Tasks, 'get'>;
  readonly settings: Pick<Settings, 'listenStreamsMax' | 'listenResourcesMax'>;
  /** `_meta` of the result that ends a stream, as JSON: the server's name and version. */
  readonly metaJson: string;
  readonly log: Pick<Log, 'info' | 'error'>;
  readonly meters: Pick<Meters, 'requestFinished' | 'shed'>;
}

const METHOD = 'subscriptions/listen';

export class Listen implements ListenPort {
  readonly #options: ListenOptions;
  readonly #streams = new Set<ListenStream>();
  readonly #shares = new StreamShares<ListenStream>();
  /** `changeKey` → streams that asked for it. No empty sets. */
  readonly #index = new Map<string, Set<ListenStream>>();

  constructor(options: ListenOptions) {
    this.#options = options;
    options.bus.subscribe((change) => this.#fanOut(change));
  }

  get size(): number {
    return this.#streams.size;
  }

  open(caller: Caller, idJson: string, params: JsonObject, channel: Channel): OpenRequest | null {
    const filter = parseFilter(params, this.#options.settings.listenResourcesMax);
    if ('message' in filter) return this.#refuse(channel, idJson, filter);
    if (!channel.canStream) {
      return this.#refuse(
        channel,
        idJson,
        fault('notAcceptable', 'subscriptions/listen answers with text/event-stream'),
      );
    }
    const limit = this.#options.settings.listenStreamsMax;
    const share = caller.share();
    if (this.#streams.size >= limit && !this.#makeRoom(share)) {
      this.#options.meters.shed('limit');
      // In band and -32603, as clients of this revision know it; a 503 would look like a lost server.
      return this.#refuse(channel, idJson, fault('internal', 'subscription limit reached', { limit }), 'shed');
    }
    const stream = new ListenStream(idJson, channel, keysOf(filter), share);
    this.#add(stream);
    const owned = this.#ownTasks(filter.taskIds ?? [], caller.principal?.id ?? null);
    if (owned instanceof Promise) {
      owned.then(
        (taskIds) => this.#acknowledge(stream, filter, taskIds),
        (cause: unknown) => this.#lookupFailed(stream, idJson, channel, cause),
      );
    } else {
      this.#acknowledge(stream, filter, owned);
    }
    return { cancel: () => this.#cancel(stream) };
  }

  closeAll(reason: string): void {
    if (this.#streams.size === 0) return;
    this.#options.log.info({ streams: this.#streams.size, reason }, 'subscription streams ended');
    for (const stream of [...this.#streams]) this.#end(stream);
  }

  /** Whether there is room now for a stream of this share. */
  #makeRoom(share: string): boolean {
    const stream = this.#shares.givesWay(share);
    if (stream === null) return false;
    this.#options.meters.shed('share');
    this.#end(stream);
    return true;
  }

  #end(stream: ListenStream): void {
    stream.end(this.#options.metaJson);
    this.#remove(stream);
  }

  #fanOut(change: Change): void {
    if (change.kind !== 'missed') {
      this.#tell(change);
      return;
    }
    // Whatever is listened to may have changed.
    for (const key of this.#index.keys()) {
      const named = changeNamed(key);
      if (named !== null) this.#tell(named);
    }
  }

  #tell(change: NamedChange): void {
    const key = changeKey(change);
    const streams = this.#index.get(key);
    if (streams === undefined) return;
    const prefix = noticePrefix(change);
    for (const stream of streams) stream.notify(key, prefix);
  }

  #acknowledge(stream: ListenStream, filter: Filter, ownTaskIds: readonly string[]): void {
    if (!stream.open) return;
    const own = new Set(ownTaskIds);
    for (const taskId of filter.taskIds ?? []) {
      if (own.has(taskId)) continue;
      const key = taskKey(taskId);
      stream.forget(key);
      this.#unindex(stream, key);
    }
    this.#options.meters.requestFinished(METHOD, 'ok', 0);
    stream.acknowledge(honouredJson(filter, ownTaskIds));
  }

  #lookupFailed(stream: ListenStream, idJson: string, channel: Channel, cause: unknown): void {
    this.#options.log.error({ err: cause }, 'the task store failed while a subscription was opened');
    if (!stream.open) return;
    this.#cancel(stream);
    this.#refuse(channel, idJson, faultFrom(cause));
  }

  #refuse(channel: Channel, idJson: string, refusal: Fault, outcome: Outcome = outcomeOf(refusal.name)): null {
    this.#options.meters.requestFinished(METHOD, outcome, 0);
    channel.respond(FAULTS[refusal.name].status, encodeFault(idJson, refusal), 0);
    return null;
  }

  #ownTasks(taskIds: readonly string[], principalId: string | null): MaybePromise<string[]> {
    const own = (answers: readonly (string | Fault)[]): string[] =>
      taskIds.filter((_, n) => typeof answers[n] === 'string');
    const atOnce: (string | Fault)[] = [];
    const answers = taskIds.map((taskId) => this.#options.tasks.get(taskId, principalId));
    for (const answer of answers) if (!(answer instanceof Promise)) atOnce.push(answer);
    return atOnce.length === answers.length ? own(atOnce) : Promise.all(answers).then(own);
  }

  #add(stream: ListenStream): void {
    this.#streams.add(stream);
    this.#shares.add(stream.share, stream);
    for (const key of stream.keys) {
      const streams = this.#index.get(key);
      if (streams === undefined) this.#index.set(key, new Set([stream]));
      else streams.add(stream);
    }
  }

  #cancel(stream: ListenStream): void {
    stream.drop();
    this.#remove(stream);
  }

  #remove(stream: ListenStream): void {
    this.#streams.delete(stream);
    this.#shares.remove(stream.share, stream);
    for (const key of stream.keys) this.#unindex(stream, key);
  }

  #unindex(stream: ListenStream, key: string): void {
    const streams = this.#index.get(key);
    if (streams === undefined) return;
    streams.delete(stream);
    if (streams.size === 0) this.#index.delete(key);
  }
}

function keysOf(filter: Filter): Set<string> {
  const keys = new Set<string>();
  if (filter.tools) keys.add(changeKey({ kind: 'tools' }));
  if (filter.prompts) keys.add(changeKey({ kind: 'prompts' }));
  if (filter.resources) keys.add(changeKey({ kind: 'resources' }));
  for (const uri of filter.resourceUris ?? []) keys.add(changeKey({ kind: 'resource', uri }));
  for (const taskId of filter.taskIds ?? []) keys.add(taskKey(taskId));
  return keys;
}

const TAG = `"_meta":{"${SUBSCRIPTION_ID_KEY}":`;

/** The notification of a change, up to the subscription id. */
function noticePrefix(change: NamedChange): string {
  switch (change.kind) {
    case 'resource':
      return `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":${JSON.stringify(change.uri)},${TAG}`;
    case 'task':
      // A DetailedTask is never empty, so a comma may follow what is left without its closing brace.
      return `{"jsonrpc":"2.0","method":"notifications/tasks","params":${change.taskJson.slice(0, -1)},${TAG}`;
    default:
      return `{"jsonrpc":"2.0","method":"notifications/${change.kind}/list_changed","params":{${TAG}`;
  }
}
