/**
 * `hash {text, rounds}`: a chain of SHA-256, each round over the digest of the one before.
 *
 * Role: CPU-bound work in small native steps, as parsing or signing is. Polls for cancellation between rounds.
 */
import { hash as digestOf } from 'node:crypto';
import { defineTool } from '../catalogue/define.ts';

const ROUNDS_MAX = 1_000_000;
const ROUNDS_DEFAULT = 1;
const ROUNDS_PER_POLL = 256;

export const hash = defineTool(
  {
    name: 'hash',
    title: 'SHA-256 chain',
    description: `Hashes the text with SHA-256, then the digest again, ${ROUNDS_DEFAULT} to ${ROUNDS_MAX} rounds; hexadecimal.`,
    input: {
      type: 'object',
      properties: {
        text: { type: 'string', description: 'What to hash, as UTF-8.' },
        rounds: {
          type: 'integer',
          minimum: 1,
          maximum: ROUNDS_MAX,
          default: ROUNDS_DEFAULT,
          description: 'How many times; each round hashes the bytes of the digest before.',
        },
      },
      required: ['text'],
    },
    output: { type: 'object', properties: { hex: { type: 'string' } }, required: ['hex'] },
    annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  },
  (args, context) => {
    const rounds = (args['rounds'] as number | undefined) ?? ROUNDS_DEFAULT;
    let digest = digestOf('sha256', args['text'] as string, 'buffer');
    for (let round = 1; round < rounds; round += 1) {
      if (round % ROUNDS_PER_POLL === 0 && context.cancelled()) throw new Error('cancelled');
      digest = digestOf('sha256', digest, 'buffer');
    }
    return { hex: digest.toString('hex') };
  },
);
