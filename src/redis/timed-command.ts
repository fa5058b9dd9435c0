/**
 * How long a command waits for its answer, without the time in which this process stood still: the client's own limit
 * would then give up every command under way, and three of those count as a dead connection.
 */
import type { Command } from 'ioredis';
import { clientModule } from './client-module.ts';
import { PatientTimer } from './patient-timer.ts';

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
    const timer = new PatientTimer(msMax, () => reject(new Error(TIMED_OUT)));
    answer.then(
      (reply) => {
        timer.clear();
        resolve(reply);
      },
      (error: unknown) => {
        timer.clear();
        reject(error);
      },
    );
  });
}
