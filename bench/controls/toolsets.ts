/**
 * The tools the SDK peers serve, with zod schemas, as their documentation has it. The schemas are made once: a peer that
 * builds a server per request does not build them again.
 */
import { hash } from 'node:crypto';
import { z } from 'zod';
import { Shop } from '../tools/shop/shop.ts';
import type { ControlArguments } from './arguments.ts';
import { MANY_TOOLS } from './many-tools.ts';

export interface PeerTool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: z.ZodObject;
  readonly run: (args: Record<string, unknown>) => Promise<string> | string;
}

const ECHO: PeerTool = {
  name: 'echo',
  title: 'Echo',
  description: 'Returns the text unchanged.',
  input: z.object({ text: z.string().describe('The text to return.') }),
  run: (args) => args['text'] as string,
};

const HASH: PeerTool = {
  name: 'hash',
  title: 'SHA-256 chain',
  description: 'Hashes the text with SHA-256, then the digest again and again; hexadecimal.',
  input: z.object({ text: z.string(), rounds: z.number() }),
  run: (args) => {
    let digest = hash('sha256', String(args['text']), 'buffer');
    for (let round = 1; round < Number(args['rounds']); round++) digest = hash('sha256', digest, 'buffer');
    return digest.toString('hex');
  },
};

export function toolset({ apiUrl, redisPort, toolset: name }: ControlArguments): PeerTool[] {
  if (name === 'echo') return [ECHO];
  if (name === 'cpu') return [ECHO, HASH];
  if (name === 'many') return manyTools();
  return shopTools(new Shop(apiUrl, redisPort));
}

function manyTools(): PeerTool[] {
  return MANY_TOOLS.map((tool) => {
    const { limit, text } = tool.inputSchema.properties;
    return {
      name: tool.name,
      title: tool.title,
      description: tool.description,
      input: z.object({
        text: z.string().describe(text?.description ?? ''),
        limit: z.number().describe(limit?.description ?? ''),
      }),
      run: () => '0',
    };
  });
}

function shopTools(shop: Shop): PeerTool[] {
  return [
    {
      name: 'search_products',
      title: 'Search products',
      description: 'Products of a category and price range, beside the most popular ones.',
      input: z.object({ category: z.string(), minPrice: z.number(), maxPrice: z.number() }),
      run: async (args) =>
        JSON.stringify(
          await shop.search(args['category'] as string, args['minPrice'] as number, args['maxPrice'] as number),
        ),
    },
    {
      name: 'get_user_cart',
      title: 'Cart of a user',
      description: 'The products in a cart, and the orders before it.',
      input: z.object({ userId: z.string() }),
      run: async (args) => JSON.stringify(await shop.cart(args['userId'] as string)),
    },
    {
      name: 'checkout',
      title: 'Check out',
      description: 'Prices the items and records the order.',
      input: z.object({
        userId: z.string(),
        items: z.array(z.object({ productId: z.number(), quantity: z.number() })),
      }),
      run: async (args) =>
        JSON.stringify(
          await shop.checkout(
            args['userId'] as string,
            args['items'] as readonly { readonly productId: number; readonly quantity: number }[],
          ),
        ),
    },
  ];
}
