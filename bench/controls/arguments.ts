/**
 * What every control is told, and how it says that it is ready.
 *
 * Role: the JSON argument of a control's command line. A control answers the request of its scenario with the same
 * payload as millrace; those that do no work of their own are given the bytes.
 */

export interface ControlArguments {
  /** Controls that parse nothing send these bytes as they are. */
  readonly answer: string;
  /** Which tools the server has: see `toolsets.ts`. */
  readonly toolset: 'echo' | 'cpu' | 'many' | 'shop';
  /** Whether a server that can do both keeps sessions. */
  readonly sessions: boolean;
  readonly workers: number;
  /** Where the shop's tools find their data. */
  readonly redisPort: number;
  readonly apiUrl: string;
}

const DEFAULTS: ControlArguments = {
  answer: '',
  toolset: 'echo',
  sessions: false,
  workers: 1,
  redisPort: 0,
  apiUrl: '',
};

export function readArguments(): ControlArguments {
  const given: unknown = JSON.parse(process.argv[2] ?? '{}');
  return { ...DEFAULTS, ...(given as Partial<ControlArguments>) };
}

export function sayReady(port: number): void {
  process.stdout.write(`control ready http://127.0.0.1:${port}/mcp\n`);
}
