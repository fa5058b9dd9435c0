/**
 * What the process that holds streams is told, and what it says: plain data.
 *
 * Role: it opens streams in steps, because memory is read between them, and then listens to a number of announcements.
 */

export interface StreamsOpen {
  readonly do: 'open';
  readonly url: string;
  readonly kind: 'session' | 'listen';
  readonly count: number;
}

export interface StreamsListen {
  readonly do: 'listen';
  readonly url: string;
  /** Calls of the tool that announces, one after the other. */
  readonly times: number;
}

export type ToStreams = StreamsOpen | StreamsListen | { readonly do: 'end' };

export type FromStreams =
  | { readonly is: 'opened'; readonly open: number; readonly problem: string }
  | {
      readonly is: 'heard';
      /** Encoded: from the call to the arrival on each stream. */
      readonly histogram: string;
      readonly missing: number;
      readonly problem: string;
    }
  | { readonly is: 'failed'; readonly reason: string };
