/**
 * Answers that are known before the request comes: `tools/list` with many tools, `server/discover`, `initialize`.
 *
 * Role: shows whether the catalogue is compiled once. The limit writes the same bytes without looking at the request.
 */
import { LAST_TOOL } from '../controls/many-tools.ts';
import { closedLoop, type LoadGroup } from '../load/job.ts';
import { answerBytes } from '../servers/answer-bytes.ts';
import { control, millrace, toolFolder } from '../servers/commands.ts';
import { openSession, resultOf } from '../wire/exchange.ts';
import { initialize, LEGACY_CALLER, MODERN_CALLER, message } from '../wire/messages.ts';
import type { WireRequest } from '../wire/request.ts';
import { type LoadVariant, saturatedVariant } from './load-variant.ts';
import type { Plan, Scenario } from './scenario.ts';

const ONLY_MANY = ['--no-builtin-tools', '--tools', toolFolder('many')];
const modernList = message(MODERN_CALLER, 'tools/list', {}, 1, '');
const legacyList = message(LEGACY_CALLER, 'tools/list', {}, 1, '');
const discover = message(MODERN_CALLER, 'server/discover', {}, 1, '');

async function same(url: string, request: WireRequest, plan: Plan, contains: string): Promise<LoadGroup[]> {
  const result = JSON.stringify(await resultOf(url, request));
  if (!result.includes(contains)) throw new Error(`asked once, the server answered without ${contains}: ${result}`);
  return [closedLoop('list', [request], plan.connections, contains)];
}

const VARIANTS: readonly LoadVariant[] = [
  {
    name: 'raw uWebSockets.js, list',
    role: 'limit',
    quick: true,
    server: async () => control('raw-uws', { answer: await answerBytes(modernList, ...ONLY_MANY) }),
    load: (url, plan) => same(url, modernList, plan, LAST_TOOL),
  },
  {
    name: 'millrace list 2026-07-28',
    role: 'millrace',
    quick: true,
    server: () => millrace('--workers', '1', ...ONLY_MANY),
    load: (url, plan) => same(url, modernList, plan, LAST_TOOL),
  },
  {
    name: 'millrace list in a session',
    role: 'millrace',
    server: () => millrace('--workers', '1', ...ONLY_MANY),
    load: async (url, plan) => {
      const caller = await openSession(url, LEGACY_CALLER);
      return same(url, message(caller, 'tools/list', {}, 1, ''), plan, LAST_TOOL);
    },
  },
  {
    name: 'millrace server/discover',
    role: 'millrace',
    server: () => millrace('--workers', '1', ...ONLY_MANY),
    load: (url, plan) => same(url, discover, plan, 'supportedVersions'),
  },
  {
    name: 'millrace initialize',
    role: 'millrace',
    server: () => millrace('--workers', '1', ...ONLY_MANY),
    load: (url, plan) => same(url, initialize(LEGACY_CALLER), plan, 'protocolVersion'),
  },
  {
    name: 'SDK v2 list',
    role: 'peer',
    server: () => control('sdk-v2', { toolset: 'many' }),
    load: (url, plan) => same(url, modernList, plan, LAST_TOOL),
  },
  {
    name: 'SDK v1 stateless list',
    role: 'peer',
    server: () => control('sdk-v1', { toolset: 'many' }),
    load: (url, plan) => same(url, legacyList, plan, LAST_TOOL),
  },
];

export const lists: Scenario = {
  name: 'lists',
  title: 'tools/list with 50 tools, server/discover, initialize',
  columns: ['perSecond', 'p50Us', 'p99Us', 'p999Us', 'cpuUsPerRequest', 'residentMiB', 'failed'],
  cannotShow: [
    'Lists that differ from caller to caller, and lists that change while they are read.',
    'The peers list the same tools with schemas of their own making: the bytes are alike, not the same.',
    'initialize at saturation soon evicts the oldest session for each new one.',
  ],
  inSuite: { roundsMax: 2, variants: 'all' },
  roundsMax: Number.POSITIVE_INFINITY,
  prepare: () => ({ variants: VARIANTS.map(saturatedVariant), skipped: [] }),
};
