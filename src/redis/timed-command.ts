/**
 * How long a command waits for its answer, of which the time that this process stood still is no part.
 *
 * A process that was stopped or got no processor finds timers first and what arrived meanwhile second: the client's own
 * limit would then give up every command under way, all of them answered long ago, and three of those take the connection
 * for dead.
 */
import type { Command } from 'ioredis';
import { clientModule } from './client-module.ts';

/** A timer that is later than this tells that the process, and maybe all of the machine, stood still. */
const LATE_MS_MAX = 20;
/** As the client says it; `unavailable.ts` knows the text. */
const TIMED_OUT = 'Command timed out';

let TimedCommand: typeof Command | null = null;

/** One whose time is not measured by the client. */
export function timedCommand(
  name: string,
  args: ConstructorParameters<typeof Command>[1],
  options: ConstructorParameters<typeof Command>[2],
): Command {
  TimedCommand ??= class extends clientModule().Command {
    override setTimeout(): void {
      // `answerInTime` does.
    }
  };
  return new TimedCommand(name, args, options);
}

/** Rejects when there is no answer after `msMax`; after a stand still the answer has as long once more, at most `msMax`. */
export function answerInTime<T>(answer: Promise<T>, msMax: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const dueMs = performance.now() + msMax;
    const givenUp = (): void => reject(new Error(TIMED_OUT));
    const due = (): void => {
      const lateMs = performance.now() - dueMs;
      if (lateMs <= LATE_MS_MAX) givenUp();
      else timer = setTimeout(givenUp, Math.min(lateMs, msMax));
    };
    let timer = setTimeout(due, msMax);
    answer.then(
      (reply) => {
        clearTimeout(timer);
        resolve(reply);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
