/**
 * The command line: which command, which flags, and what is wrong with them.
 *
 * Role: built on `parseArgs` in its lenient mode, so that every problem can be told at once and a mistyped flag gets
 * a suggestion. The flags of options come from the option table; a command adds a few of its own. Values are not
 * judged here: `src/config` does that, for flags and files alike.
 */
import { parseArgs } from 'node:util';
import type { GivenFlags } from '../config/layers.ts';
import { nearest } from '../config/nearest.ts';
import { OPTIONS } from '../config/options.ts';
import { unknown } from '../config/problem.ts';
import { valueOfText } from '../config/text-value.ts';

export const COMMANDS = ['serve', 'stdio', 'check', 'init', 'status', 'streams'] as const;
export type Command = (typeof COMMANDS)[number];

interface FlagShape {
  readonly type: 'string' | 'boolean';
  readonly multiple: boolean;
}

/** Flags a command has beside the options. */
const OWN_FLAGS: Readonly<Record<Command, Readonly<Record<string, 'string' | 'boolean'>>>> = {
  serve: { config: 'string' },
  stdio: { config: 'string' },
  check: { config: 'string', json: 'boolean' },
  init: { streams: 'boolean' },
  status: { url: 'string', all: 'boolean', json: 'boolean' },
  streams: { url: 'string', token: 'string', ids: 'string', all: 'boolean', json: 'boolean' },
};
const TAKES_OPTIONS: ReadonlySet<Command> = new Set(['serve', 'stdio', 'check']);

/** Whether the flags of options belong to the command. */
export const takesOptions = (command: Command): boolean => TAKES_OPTIONS.has(command);

export interface CommandLine {
  readonly command: Command | null;
  readonly help: boolean;
  readonly version: boolean;
  /** Flags of options. */
  readonly options: GivenFlags;
  /** Flags of the command itself: `config`, `json`, `url`, … */
  readonly own: ReadonlyMap<string, string | boolean>;
  readonly positionals: readonly string[];
  readonly problems: readonly string[];
}

export function parseCommandLine(args: readonly string[]): CommandLine {
  const problems: string[] = [];
  const first = args[0];
  const named = first !== undefined && !first.startsWith('-') ? first : null;
  const command = COMMANDS.find((candidate) => candidate === named) ?? null;
  if (named !== null && command === null) {
    const suggestion = nearest(named, COMMANDS);
    problems.push(`${named}: unknown command${suggestion === null ? '' : `, did you mean ${suggestion}?`}`);
  }
  if (named === 'help') return helpAbout(args.slice(1));
  const rest = named === null ? args : args.slice(1);
  // Without a command nobody knows whose flags they are: none is reported as wrong.
  const flags = new FlagReader(command, named === null || command !== null ? problems : []);
  flags.read(rest);
  if (named === null && problems.length > 0) problems.push('the command must precede its options: millrace serve …');
  return {
    command,
    help: flags.own.get('help') === true && (named === null || command !== null),
    version: flags.own.get('version') === true,
    options: flags.options,
    own: flags.own,
    positionals: flags.positionals,
    problems,
  };
}

/** `millrace help serve` is `millrace serve --help`. */
function helpAbout([named = '', ...others]: readonly string[]): CommandLine {
  const isCommand = COMMANDS.some((candidate) => candidate === named);
  if (isCommand) return parseCommandLine([named, ...others, '--help']);
  return parseCommandLine(named === '' ? ['--help'] : [named]);
}

/** Flags of options that `command` takes, and its own, as `parseArgs` wants them. */
function shapesFor(command: Command | null): Map<string, FlagShape> {
  const shapes = new Map<string, FlagShape>([
    ['help', { type: 'boolean', multiple: false }],
    ['version', { type: 'boolean', multiple: false }],
  ]);
  if (command === null) return shapes;
  for (const [flag, type] of Object.entries(OWN_FLAGS[command])) shapes.set(flag, { type, multiple: false });
  if (!takesOptions(command)) return shapes;
  for (const { flag, facts } of OPTIONS) {
    if (flag !== null) shapes.set(flag, { type: facts.form === 'boolean' ? 'boolean' : 'string', multiple: true });
  }
  return shapes;
}

type Token = NonNullable<ReturnType<typeof parseArgs>['tokens']>[number];

class FlagReader {
  readonly options = new Map<string, (string | boolean)[]>();
  readonly own = new Map<string, string | boolean>();
  readonly positionals: string[] = [];
  readonly #shapes: Map<string, FlagShape>;
  readonly #problems: string[];
  /** The argument after an unknown flag may be its value: not worth a second complaint. */
  #afterUnknown = false;

  constructor(command: Command | null, problems: string[]) {
    this.#shapes = shapesFor(command);
    this.#problems = problems;
  }

  read(args: readonly string[]): void {
    const shapes = Object.fromEntries(this.#shapes);
    const short = { help: { ...shapes['help'], short: 'h' }, version: { ...shapes['version'], short: 'v' } };
    const { tokens } = parseArgs({
      args: [...args],
      options: { ...shapes, ...short } as NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>,
      strict: false,
      allowPositionals: true,
      tokens: true,
    });
    for (const token of tokens) this.#token(token);
  }

  #token(token: Token): void {
    if (token.kind === 'positional') {
      if (!this.#afterUnknown) this.positionals.push(token.value);
      this.#afterUnknown = false;
    } else if (token.kind === 'option') {
      this.#afterUnknown = false;
      this.#flag(token.name, token.rawName, token.value, token.inlineValue === true);
    }
  }

  #flag(name: string, rawName: string, value: string | undefined, inline: boolean): void {
    const shape = this.#shapes.get(name);
    if (shape !== undefined) {
      if (shape.type === 'boolean') this.#switch(name, rawName, value);
      else if (value === undefined || (!inline && value.startsWith('--')))
        this.#problems.push(`${rawName}: needs a value`);
      else this.#keep(name, value);
      return;
    }
    const positive = name.startsWith('no-') ? name.slice(3) : '';
    if (this.#shapes.get(positive)?.type === 'boolean' && value === undefined) {
      this.#keep(positive, false);
      return;
    }
    this.#afterUnknown = !inline;
    const switches = [...this.#shapes].filter(([, { type }]) => type === 'boolean').map(([flag]) => `no-${flag}`);
    const suggestion = nearest(name, [...this.#shapes.keys(), ...switches]);
    this.#problems.push(unknown(rawName, suggestion === null ? null : `--${suggestion}`));
  }

  /** Values of options are judged with those of files. */
  #switch(name: string, rawName: string, value: string | undefined): void {
    const isOption = this.#shapes.get(name)?.multiple === true;
    const read = value === undefined || isOption ? { value: value ?? true } : valueOfText('boolean', value);
    if (read === null) this.#problems.push(`${rawName} ${value}: must be true or false`);
    else this.#keep(name, read.value as string | boolean);
  }

  #keep(name: string, value: string | boolean): void {
    if (this.#shapes.get(name)?.multiple !== true) {
      this.own.set(name, value);
      return;
    }
    const values = this.options.get(name);
    if (values === undefined) this.options.set(name, [value]);
    else values.push(value);
  }
}
