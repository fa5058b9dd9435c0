/**
 * The shop's tools for millrace: called by a module that names where the data are, since a tool module has no arguments.
 *
 * Each worker makes a shop of its own with the first call.
 */
import { defineTool, type ToolDefinition } from '../../../src/index.ts';
import { type OrderItem, Shop } from './shop.ts';

const text = { type: 'string' } as const;
const number = { type: 'number' } as const;
const orderItem = {
  type: 'object',
  properties: { productId: number, quantity: number },
  required: ['productId', 'quantity'],
};

export function shopTools(apiUrl: string, redisPort: number): ToolDefinition[] {
  let made: Shop | null = null;
  const shop = (): Shop => {
    made ??= new Shop(apiUrl, redisPort);
    return made;
  };
  return [
    defineTool(
      {
        name: 'search_products',
        title: 'Search products',
        description: 'Products of a category and price range, beside the most popular ones.',
        input: {
          type: 'object',
          properties: { category: text, minPrice: number, maxPrice: number },
          required: ['category', 'minPrice', 'maxPrice'],
        },
      },
      async (args) =>
        JSON.stringify(
          await shop().search(args['category'] as string, args['minPrice'] as number, args['maxPrice'] as number),
        ),
    ),
    defineTool(
      {
        name: 'get_user_cart',
        title: 'Cart of a user',
        description: 'The products in a cart, and the orders before it.',
        input: { type: 'object', properties: { userId: text }, required: ['userId'] },
      },
      async (args) => JSON.stringify(await shop().cart(args['userId'] as string)),
    ),
    defineTool(
      {
        name: 'checkout',
        title: 'Check out',
        description: 'Prices the items and records the order.',
        input: {
          type: 'object',
          properties: { userId: text, items: { type: 'array', items: orderItem } },
          required: ['userId', 'items'],
        },
      },
      async (args) => JSON.stringify(await shop().checkout(args['userId'] as string, args['items'] as OrderItem[])),
    ),
  ];
}
