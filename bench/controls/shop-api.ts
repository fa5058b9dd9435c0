/**
 * The shop's HTTP API: a hundred thousand products in memory, searched, looked up and priced.
 *
 * Role: the service behind the tools, in a process of its own. Products are indexed by category and price, so that the
 * service stays out of the way of what is measured.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const PRODUCTS = 100_000;
export const CATEGORIES = [
  'books',
  'games',
  'garden',
  'kitchen',
  'music',
  'shoes',
  'sports',
  'tools',
  'toys',
  'travel',
];
const PRICE_MAX = 1000;

interface Product {
  readonly id: number;
  readonly name: string;
  readonly category: string;
  readonly price: number;
  readonly rating: number;
}

/** The same for every run: a multiplicative sequence instead of randomness. */
function makeProduct(id: number): Product {
  const mixed = (id * 2_654_435_761) % 2 ** 32;
  return {
    id,
    name: `Product ${id}`,
    category: CATEGORIES[id % CATEGORIES.length] as string,
    price: Math.round((mixed / 2 ** 32) * PRICE_MAX * 100) / 100,
    rating: (mixed % 50) / 10,
  };
}

const products = Array.from({ length: PRODUCTS }, (_, id) => makeProduct(id));
const byCategory = new Map(
  CATEGORIES.map((category) => [
    category,
    products.filter((product) => product.category === category).sort((a, b) => a.price - b.price),
  ]),
);

function search(query: URLSearchParams): Product[] {
  const sorted = byCategory.get(query.get('category') ?? '') ?? [];
  const least = Number(query.get('min') ?? 0);
  const most = Number(query.get('max') ?? PRICE_MAX);
  const limit = Number(query.get('limit') ?? 10);
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle]?.price ?? 0) < least) low = middle + 1;
    else high = middle;
  }
  const found: Product[] = [];
  for (let i = low; i < sorted.length && found.length < limit; i++) {
    const product = sorted[i] as Product;
    if (product.price > most) break;
    found.push(product);
  }
  return found;
}

function calculate(body: string): object {
  const { items } = JSON.parse(body) as { items: readonly { productId: number; quantity: number }[] };
  const subtotal = items.reduce(
    (sum, { productId, quantity }) => sum + (products[productId]?.price ?? 0) * quantity,
    0,
  );
  const tax = subtotal * 0.2;
  return { subtotal, tax, total: subtotal + tax, items: items.length };
}

function answer(path: string, query: URLSearchParams, body: string): object | null {
  if (path === '/products/search') return search(query);
  if (path === '/products') {
    const ids = (query.get('ids') ?? '').split(',').filter((id) => id !== '');
    return ids.map((id) => products[Number(id)] ?? null);
  }
  return path === '/cart/calculate' ? calculate(body) : null;
}

function serve(req: IncomingMessage, res: ServerResponse): void {
  const url = new URL(req.url ?? '/', 'http://localhost');
  let body = '';
  req.on('data', (chunk: Buffer) => (body += chunk.toString()));
  req.on('end', () => {
    const found = answer(url.pathname, url.searchParams, body);
    res.writeHead(found === null ? 404 : 200, { 'content-type': 'application/json' });
    res.end(JSON.stringify(found));
  });
}

const server = createServer({ keepAliveTimeout: 60_000 }, serve);
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`shop api ready http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
