/**
 * Stream definitions for `millrace check`: those of the configuration and of the files, compiled as `serve` would.
 *
 * Role: problems are reported with their file and the path there, `streams[1].windows[0].sizeMs` counted within that
 * file. Connectors check their options, but nothing is opened: neither they nor the modules of reducers, which are only
 * reported when their file is missing.
 */
import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { foldersOf, type PlacedStream, placedStreams, toldInPlace } from '../config/placed-streams.ts';
import { ConfigError } from '../config/problem.ts';
import type { StreamDefinition } from '../streams/define/definition.ts';
import { DefinitionProblem } from '../streams/define/definition-problem.ts';
import { checkDeclaration } from '../streams/engine/connectors/check-declaration.ts';
import { CONNECTOR_KINDS } from '../streams/engine/connectors/connectors.ts';
import type { Configured } from './configure.ts';

type Plan = ReturnType<typeof checkDeclaration>;

/** A stream, and the names of what it has, by kind: `{windows: ['last_minute']}`. Kinds it has none of are left out. */
export interface StreamSummary {
  readonly name: string;
  readonly parts: Readonly<Record<string, readonly string[]>>;
}

const KINDS = ['windows', 'patterns', 'joins', 'views', 'anomalies', 'alerts'] as const;
const KIND_OF: Readonly<Record<(typeof KINDS)[number], Plan['operators'][number]['kind']>> = {
  windows: 'window',
  patterns: 'pattern',
  joins: 'join',
  views: 'view',
  anomalies: 'anomaly',
  alerts: 'alert',
};

/** Throws `ConfigError`. */
export async function checkStreams(
  { settings: { redisUrl, streaming } }: Configured,
  cwd: string,
): Promise<readonly StreamSummary[]> {
  const placed = await placedStreams(streaming, cwd);
  const summaries = compiled(placed, streaming.shards);
  const missing = [...missingRedis(placed, redisUrl), ...missingModules(placed)];
  if (missing.length > 0) throw new ConfigError(missing);
  return summaries;
}

function missingRedis(placed: readonly PlacedStream[], redisUrl: string): string[] {
  if (redisUrl !== '') return [];
  return placed
    .filter(({ definition }) => definition.durability === 'replicated')
    .map(({ place }) => `${place}.durability: "replicated", expected fsync or memory: there is no redisUrl`);
}

function missingModules(placed: readonly PlacedStream[]): string[] {
  return placed.flatMap(({ definition: { windows = [] }, place }) =>
    windows.flatMap(({ aggregates }, n) =>
      Object.entries(aggregates).flatMap(([name, aggregate]) => {
        const module = typeof aggregate === 'object' ? (aggregate.module ?? '') : '';
        if (!isAbsolute(module) || existsSync(module)) return [];
        const path = `${place}.windows[${n}].aggregates.${name}.module`;
        return [`${path}: ${JSON.stringify(module)}, expected a file that is there`];
      }),
    ),
  );
}

function compiled(placed: readonly PlacedStream[], shards: number): readonly StreamSummary[] {
  try {
    const definitions = placed.map(({ definition }) => definition);
    return summaries(
      checkDeclaration(definitions, { ...CONNECTOR_KINDS, folderOf: foldersOf(placed) }, { epoch: 1, shards }),
      definitions,
    );
  } catch (error) {
    if (!(error instanceof DefinitionProblem)) throw error;
    const told = error.problems.map((problem) => toldInPlace(problem, placed));
    throw new ConfigError(new DefinitionProblem(told).lines);
  }
}

function summaries({ operators, streams }: Plan, definitions: readonly StreamDefinition[]): readonly StreamSummary[] {
  return streams.map(({ index, name }) => {
    const own = operators.filter(({ stream }) => stream === index);
    const namesOf = (kind: (typeof KINDS)[number]): string[] =>
      own.filter((operator) => operator.kind === KIND_OF[kind]).map((operator) => operator.name);
    const { sinks = [], sources = [] } = definitions[index] ?? {};
    const parts = [
      ...KINDS.map((kind) => [kind, namesOf(kind)] as const),
      ['sources', sources.map(({ type }) => type)] as const,
      ['sinks', sinks.map(({ type }) => type)] as const,
    ];
    return { name, parts: Object.fromEntries(parts.filter(([, names]) => names.length > 0)) };
  });
}

/** `stream machine: windows last_minute; alerts busy_core` */
export function streamText({ name, parts }: StreamSummary): string {
  const said = Object.entries(parts).map(([kind, names]) => `${kind} ${names.join(', ')}`);
  return `stream ${name}: ${said.length === 0 ? 'nothing is computed of it' : said.join('; ')}`;
}
