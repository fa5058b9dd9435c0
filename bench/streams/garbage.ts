/**
 * What one run leaves behind is no part of the next: shared memory above all, which V8 does not count and lets go of
 * late, so that several engines one after the other in a process looked like one that needs as much.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Between runs, outside of what is timed. */
export const collectGarbage = runInNewContext('gc') as () => void;
