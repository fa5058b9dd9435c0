/**
 * For what is held by time on both sides (a lease that is renewed, a session that is used): a machine that stood still for
 * that long has lost it, rightly. Then it is done again, from the beginning.
 *
 * What fails though the process always had its time fails at once.
 */
const LOOK_MS = 10;
const AGAIN_MAX = 10;

/** `work` makes everything it needs anew. Nothing in it may depend on a pause shorter than `pauseMsMax`. */
export async function undisturbed<T>(pauseMsMax: number, work: () => Promise<T>): Promise<T> {
  for (let again = 0; ; again++) {
    let lookedMs = performance.now();
    let longestMs = 0;
    const look = (): void => {
      const nowMs = performance.now();
      longestMs = Math.max(longestMs, nowMs - lookedMs);
      lookedMs = nowMs;
    };
    const looks = setInterval(look, LOOK_MS);
    try {
      return await work();
    } catch (error) {
      look();
      if (longestMs < pauseMsMax || again === AGAIN_MAX) throw error;
    } finally {
      clearInterval(looks);
    }
  }
}
