/**
 * A tool that ends the worker it runs on, and a reducer that never comes back from one value.
 */
import { defineTool } from '../../../src/catalogue/define.ts';

export const leaves = defineTool({ name: 'leaves', description: 'Ends its worker.' }, () => process.exit(3));

export const here = defineTool({ name: 'here', description: 'Says which process it is in.' }, () =>
  String(process.pid),
);

export const POISON = 666;

/** A sum, but for one value. */
export const trap = {
  init: (): number => 0,
  add(state: number, value: unknown): number {
    while (value === POISON);
    return state + Number(value);
  },
  merge: (a: number, b: number): number => a + b,
  result: (state: number): number => state,
};
