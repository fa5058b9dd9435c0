/**
 * `fibonacci {n}`: the n-th Fibonacci number by plain recursion.
 *
 * Role: a CPU-bound tool whose cost is chosen by its argument (about 1.6 times more for each n). Recursive on purpose.
 * It shows how synchronous code stays cancellable: `cancelled()` is polled once every few thousand calls.
 */
import { defineTool, type HandlerContext } from '../catalogue/define.ts';

/** About a second of work on a 2020s core. */
const N_MAX = 40;
const CALLS_PER_POLL = 4096;

class Recursion {
  #calls = 0;
  readonly #context: HandlerContext;

  constructor(context: HandlerContext) {
    this.#context = context;
  }

  of(n: number): number {
    this.#calls += 1;
    if (this.#calls % CALLS_PER_POLL === 0 && this.#context.cancelled()) throw new Error('cancelled');
    return n < 2 ? n : this.of(n - 1) + this.of(n - 2);
  }
}

export const fibonacci = defineTool(
  {
    name: 'fibonacci',
    title: 'Fibonacci number',
    description: `Computes the n-th Fibonacci number recursively; CPU-bound, n from 0 to ${N_MAX}.`,
    input: {
      type: 'object',
      properties: { n: { type: 'integer', minimum: 0, maximum: N_MAX, description: 'Which number; 0 gives 0.' } },
      required: ['n'],
    },
    output: { type: 'object', properties: { value: { type: 'integer' } }, required: ['value'] },
    annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  },
  (args, context) => ({ value: new Recursion(context).of(args['n'] as number) }),
);
