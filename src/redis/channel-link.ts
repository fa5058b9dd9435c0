/**
 * What carries the channels of a `RedisSubscriber`: one connection to one server, or one to each server of a Cluster
 * that has any of them.
 *
 * Role: the port between who listens and how. A link connects by itself, again and again, and knows channels by name only.
 */
export interface ChannelLink {
  /** Every channel is listened to. */
  readonly up: boolean;
  /** As `up`, but for channels that were added just now: Redis has not refused them, and has not confirmed them. */
  readonly standing: boolean;
  /** Begins to connect; does not wait. */
  start(): void;
  add(channel: string): void;
  remove(channel: string): void;
  close(): void;
}

export interface LinkEvents {
  message(channel: string, message: Buffer): void;
  /** Every channel is listened to, for the first time or again. `missed`: something may have been published before. */
  standing(missed: boolean): void;
  /** It works on with what it has, and tries the rest again. */
  trouble(error: unknown, message: string): void;
}

/** Between questions on a quiet connection, and how long an answer may take. */
export const PROBE_MS = 1000;
export const ANSWER_MS_MAX = 1000;
