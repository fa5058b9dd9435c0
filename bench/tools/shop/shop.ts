/**
 * The I/O-bound workload after TM Dev Lab's second MCP benchmark: three tools over Redis and an HTTP API.
 *
 * Role: what the tools do, written once for all servers. Each waits for two things at the same time: the API and Redis.
 */
import { ApiClient } from './api-client.ts';
import { RedisClient, type RedisReply } from './redis-client.ts';

const SEARCH_LIMIT = 10;
const POPULAR = 10;
const HISTORY = 10;

export const POPULARITY_KEY = 'shop:popularity';
export const cartKey = (userId: string): string => `shop:cart:${userId}`;
const historyKey = (userId: string): string => `shop:history:${userId}`;

export interface OrderItem {
  readonly productId: number;
  readonly quantity: number;
}

export class Shop {
  readonly #api: ApiClient;
  readonly #redis: RedisClient;

  constructor(apiUrl: string, redisPort: number) {
    this.#api = new ApiClient(apiUrl);
    this.#redis = new RedisClient(redisPort);
  }

  async search(category: string, minPrice: number, maxPrice: number): Promise<object> {
    const query = new URLSearchParams({
      category,
      min: String(minPrice),
      max: String(maxPrice),
      limit: String(SEARCH_LIMIT),
    });
    const [products, popular] = await Promise.all([
      this.#api.get(`/products/search?${query.toString()}`),
      this.#redis.call('ZREVRANGE', POPULARITY_KEY, 0, POPULAR - 1, 'WITHSCORES'),
    ]);
    return { products, popular };
  }

  async cart(userId: string): Promise<object> {
    const fields = await this.#redis.call('HGETALL', cartKey(userId));
    const items = itemsOf(fields);
    const ids = items.map(({ productId }) => productId).join(',');
    const [products, history] = await Promise.all([
      this.#api.get(`/products?ids=${ids}`),
      this.#redis.call('LRANGE', historyKey(userId), 0, HISTORY - 1),
    ]);
    return { userId, items, products, history };
  }

  async checkout(userId: string, items: readonly OrderItem[]): Promise<object> {
    const order = JSON.stringify({ userId, items });
    const [total, orderNumber] = await Promise.all([
      this.#api.post('/cart/calculate', { items }),
      this.#redis.call('INCR', 'shop:orders'),
      this.#redis.call('RPUSH', historyKey(userId), order),
      ...items.map(({ productId, quantity }) => this.#redis.call('ZINCRBY', POPULARITY_KEY, quantity, productId)),
    ]);
    return { status: 'confirmed', orderNumber, total };
  }
}

/** Field, value, field, value …: product and quantity. */
function itemsOf(fields: RedisReply): OrderItem[] {
  if (!Array.isArray(fields)) return [];
  const items: OrderItem[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    items.push({ productId: Number(fields[i]), quantity: Number(fields[i + 1]) });
  }
  return items;
}
