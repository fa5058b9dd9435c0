/** A channel that records what it is given, and that a test can make congested. */
import type { Caller, Channel } from '../../src/protocol/channel.ts';
import { REVISION_2026_07_28 } from '../../src/protocol/revisions.ts';

export type Message = {
  id?: unknown;
  method?: string;
  params?: { [member: string]: unknown; _meta?: Record<string, unknown> };
  result?: Record<string, unknown>;
  error?: { code: number; message: string; data?: Record<string, unknown> };
};

const text = (message: Uint8Array | string): string =>
  typeof message === 'string' ? message : Buffer.from(message).toString('utf8');

export class FakeChannel implements Channel {
  readonly canStream: boolean;
  congested = false;
  onDrain: (() => void) | null = null;
  readonly sent: Message[] = [];
  readonly answers: { status: number; message: Message }[] = [];

  constructor(canStream = true) {
    this.canStream = canStream;
  }
  respond(status: number, message: Uint8Array | string): void {
    this.answers.push({ status, message: JSON.parse(text(message)) as Message });
  }
  send(message: Uint8Array | string): void {
    if (this.answers.length > 0) throw new Error('a message after the answer');
    this.sent.push(JSON.parse(text(message)) as Message);
  }
  release(): void {
    throw new Error('not used here');
  }
  drain(): void {
    this.congested = false;
    this.onDrain?.();
  }
}

export function callerNamed(id: string | null): Caller {
  return {
    revision: REVISION_2026_07_28,
    principal: id === null ? null : { id, scopes: [] },
    session: null,
    asks: null,
    share: () => id ?? 'anyone',
  };
}
