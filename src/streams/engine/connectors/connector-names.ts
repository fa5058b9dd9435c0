/**
 * Names of sources and sinks: positions and cursors are kept under them, and logs tell them.
 *
 * `{stream}/{name}` where the declaration has a `name`, else `{stream}/{type}#{n}`, by its number in the list.
 */
export interface Connector {
  readonly type: string;
  readonly name?: unknown;
}

export function nameOf(stream: string, { name, type }: Connector, n: number): string {
  return `${stream}/${typeof name === 'string' ? name : `${type}#${n}`}`;
}
