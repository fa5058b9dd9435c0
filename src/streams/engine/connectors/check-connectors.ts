/**
 * Options of sources and sinks, checked without reaching for anything outside.
 *
 * Role: what `millrace check` and a change of the definitions ask before anything is opened or logged. Each kind checks
 * its options when a connector is made; what is made here is never started. Options a kind does not have are refused here:
 * what the runtime adds to a declaration is added later.
 */
import type { FileAt, OptionNeed } from '../../connector-options.ts';
import type { SinkDefinition, SourceDefinition, StreamDefinition } from '../../define/definition.ts';
import { at, DefinitionProblem, Findings } from '../../define/definition-problem.ts';
import { name } from '../../define/schema-parts.ts';
import { shaped } from '../../define/shape-problems.ts';
import type { SourceHost } from '../../sources/port.ts';
import { type ConnectorKinds, fileAtOf } from './connectors.ts';

/** Of a source that is never started. */
const nobody = (fileAt: FileAt): SourceHost => ({
  accept: () => Promise.reject(new Error('this source is not to be started')),
  log: { warn: () => undefined, info: () => undefined },
  now: () => 0,
  fileAt,
});

const CONNECTOR_NAME = name().optional();
const SOURCE_MEMBERS = ['type', 'name'];
const SINK_MEMBERS = ['type', 'name', 'of'];
/** Of a sink that the engine is itself. */
const STREAM_SINK_OPTIONS = ['stream'];

/** Throws `DefinitionProblem`: all problems, with their paths from `streams` on. The definitions were compiled before. */
export function checkConnectors(definitions: readonly StreamDefinition[], kinds: ConnectorKinds): void {
  const findings = new Findings();
  const places = new Map<string, string>();
  for (const [i, { name, sinks = [], sources = [] }] of definitions.entries()) {
    const path = at('streams', i);
    for (const [n, source] of sources.entries()) checkSource(source, name, at(at(path, 'sources'), n), kinds, findings);
    for (const [n, sink] of sinks.entries()) {
      const here = at(at(path, 'sinks'), n);
      const fileAt = fileAtOf(kinds, name);
      checkSink(sink, here, kinds, fileAt, findings);
      checkPlace(sink, here, kinds, fileAt, places, findings);
    }
    checkConnectorNames(sources, 'source', at(path, 'sources'), findings);
    checkConnectorNames(sinks, 'sink', at(path, 'sinks'), findings);
  }
  findings.throwIfAny();
}

/** Of two of one name one would not be there: places are kept under names. */
function checkConnectorNames(
  connectors: readonly (SourceDefinition | SinkDefinition)[],
  what: string,
  path: string,
  findings: Findings,
): void {
  const used = new Set<string>();
  for (const [n, { name }] of connectors.entries()) {
    const here = at(at(path, n), 'name');
    const read = shaped(CONNECTOR_NAME, name, here, findings) ?? null;
    if (read === null) continue;
    if (used.has(read)) findings.add(here, read, `a name that no other ${what} of the stream has`);
    used.add(read);
  }
}

function checkSource(
  source: SourceDefinition,
  stream: string,
  path: string,
  kinds: ConnectorKinds,
  findings: Findings,
): void {
  const { sources } = kinds;
  const kind = sources.get(source.type);
  if (kind === undefined) wrongType(source.type, path, [...sources.keys()], findings);
  // A source names its options by stream and type.
  else {
    checkNames(source, [...SOURCE_MEMBERS, ...kind.options], path, findings);
    tryOut(
      () => kind.create(source, stream, nobody(fileAtOf(kinds, stream))),
      `${stream}/${source.type}`,
      path,
      findings,
    );
  }
}

function checkSink(
  sink: SinkDefinition,
  path: string,
  { sinks }: ConnectorKinds,
  fileAt: FileAt,
  findings: Findings,
): void {
  const { of: _of, type, ...options } = sink;
  const kind = sinks.get(type);
  const known = type === 'stream' ? STREAM_SINK_OPTIONS : kind?.options;
  if (known === undefined) wrongType(type, path, [...sinks.keys(), 'stream'], findings);
  else checkNames(sink, [...SINK_MEMBERS, ...known], path, findings);
  if (kind !== undefined) tryOut(() => kind.create(options, path, fileAt), path, path, findings);
}

/** `places`: those of the sinks before, with where these are declared. */
function checkPlace(
  sink: SinkDefinition,
  path: string,
  { sinks }: ConnectorKinds,
  fileAt: FileAt,
  places: Map<string, string>,
  findings: Findings,
): void {
  const place = sinks.get(sink.type)?.place?.(sink, fileAt);
  if (place === undefined) return;
  const id = `${sink.type} ${place}`;
  const other = places.get(id);
  if (other === undefined) places.set(id, path);
  else findings.add(at(path, 'path'), sink['path'], `a path of its own: ${other} writes there`);
}

/** Options that do nothing beside the others; each was found good by itself. Sources name theirs before sinks. */
export function checkIdleOptions(
  { sinks = [], sources = [] }: StreamDefinition,
  path: string,
  kinds: ConnectorKinds,
  findings: Findings,
): void {
  const check = (list: string, needs: readonly OptionNeed[], declared: SourceDefinition, n: number): void => {
    for (const { expected, isMet, options } of needs) {
      for (const option of options) {
        if (declared[option] === undefined || isMet(declared)) continue;
        findings.add(at(at(at(path, list), n), option), declared[option], expected);
      }
    }
  };
  for (const [n, source] of sources.entries()) check('sources', kinds.sources.get(source.type)?.needs ?? [], source, n);
  for (const [n, sink] of sinks.entries()) check('sinks', kinds.sinks.get(sink.type)?.needs ?? [], sink, n);
}

/** Names the option without its value, since the value of an unknown option may be a password. */
function checkNames(declared: object, known: readonly string[], path: string, findings: Findings): void {
  for (const name of Object.keys(declared)) {
    if (!known.includes(name))
      findings.add(at(path, name), name, `no such option, but one of ${known.join(', ')}`, known);
  }
}

function wrongType(type: string, path: string, known: readonly string[], findings: Findings): void {
  findings.add(at(path, 'type'), type, `one of ${known.join(', ')}`, known);
}

function tryOut(make: () => unknown, named: string, path: string, findings: Findings): void {
  try {
    make();
  } catch (error) {
    if (!(error instanceof DefinitionProblem)) throw error;
    for (const problem of error.problems) {
      const rest = problem.path.startsWith(named) ? problem.path.slice(named.length) : `.${problem.path}`;
      findings.put({ ...problem, path: `${path}${rest}` });
    }
  }
}
