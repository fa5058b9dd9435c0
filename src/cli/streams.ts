/**
 * `millrace streams dlq list|replay|drop STREAM`: looks through the dead letters of a running server's stream.
 *
 * Role: usage and what is printed; `dead-letters.ts` talks to the server. `--all` first reads which letters there are and
 * then acts on those: a letter that is refused again comes back under a new id and must not be met twice.
 * Ends with 0 when every letter asked for was dealt with, with 1 when some were refused again or were not there.
 */
import { nearest } from '../config/nearest.ts';
import { plain, printableJson, serverNamed } from './ask-server.ts';
import type { CommandLine } from './command-line.ts';
import {
  type Action,
  DeadLetters,
  isRefused,
  LETTERS_READ_MAX,
  type Letter,
  PAGE_LETTERS_MAX,
  type Refused,
  type Tally,
} from './dead-letters.ts';
import { table } from './table.ts';
import { EXIT, type Terminal, writeProblems } from './terminal.ts';

const ACTIONS = ['list', 'replay', 'drop'] as const;
const USAGE = 'usage: millrace streams dlq list|replay|drop STREAM';
const STREAM_NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;
/** What a header may carry. */
const TOKEN = /^[\x21-\x7e]{1,8192}$/;
const IDS_MAX = 10_000;
const SHOWN_CHARACTERS_MAX = 60;

interface Asked {
  readonly action: (typeof ACTIONS)[number];
  readonly stream: string;
  readonly token: string;
  readonly ids: readonly string[];
  readonly all: boolean;
  readonly json: boolean;
}

interface World {
  readonly asked: Asked;
  readonly origin: string;
  readonly letters: DeadLetters;
  readonly terminal: Terminal;
}

export async function streams(line: CommandLine, terminal: Terminal): Promise<number> {
  const problems: string[] = [];
  const asked = askedIn(line, problems);
  if (problems.length > 0 || asked === null) {
    writeProblems(terminal, problems);
    return EXIT.USAGE;
  }
  const server = serverNamed(line, terminal);
  if (server === null) return EXIT.USAGE;
  const letters = new DeadLetters(server, asked.stream, asked.token);
  const world = { asked, origin: server.origin, letters, terminal };
  return asked.action === 'list' ? list(world) : act(asked.action, world);
}

function askedIn({ own, positionals }: CommandLine, problems: string[]): Asked | null {
  const [group, verb, stream] = positionals;
  const action = ACTIONS.find((known) => known === verb);
  if (group !== 'dlq') {
    problems.push(group === undefined ? USAGE : `${group}: unknown, did you mean dlq?`);
  } else if (action === undefined) {
    const suggestion = verb === undefined ? null : nearest(verb, ACTIONS);
    const hint = suggestion === null ? USAGE : `did you mean ${suggestion}?`;
    problems.push(verb === undefined ? USAGE : `${verb}: unknown, ${hint}`);
  } else if (stream === undefined) {
    problems.push(`the name of a stream is missing; ${USAGE}`);
  } else if (!STREAM_NAME.test(stream)) {
    problems.push(`${stream}: not a valid stream name`);
  }
  const token = own.get('token') ?? '';
  if (typeof token !== 'string' || (token !== '' && !TOKEN.test(token))) {
    problems.push('--token: must be 1 to 8192 characters of ASCII, without spaces');
  }
  const all = own.get('all') === true;
  const ids = idsIn(own.get('ids'), problems);
  if (action === 'list' && ids.length > 0) problems.push('--ids: only replay and drop take ids');
  if (action !== undefined && action !== 'list' && all === ids.length > 0 && problems.length === 0) {
    problems.push(`${action}: name the dead letters with --ids ID,ID,… or take --all of them, not both`);
  }
  if (problems.length > 0 || action === undefined || stream === undefined) return null;
  return { action, stream, token: String(token), ids, all, json: own.get('json') === true };
}

function idsIn(given: string | boolean | undefined, problems: string[]): readonly string[] {
  if (typeof given !== 'string') return [];
  const ids = [...new Set(given.split(',').map((id) => id.trim()))].filter((id) => id !== '');
  if (ids.length > IDS_MAX) problems.push(`--ids: at most ${IDS_MAX}`);
  const wrong = ids.find((id) => !/^(?:\d{1,2}\/)?\d{1,15}:\d{1,15}$/.test(id));
  if (wrong !== undefined)
    problems.push(`--ids ${wrong}: is not the id of a dead letter; ids look like 12:0 or 3/12:0`);
  else if (ids.length === 0) problems.push('--ids: names none');
  return ids;
}

async function list({ asked, letters, origin, terminal }: World): Promise<number> {
  const found: Letter[] = [];
  const first = asked.all ? [] : await letters.page('');
  if (isRefused(first)) return refuse(terminal, origin, first);
  found.push(...first);
  const complete = asked.all ? await letters.each((page) => void found.push(...page)) : await letters.areAll(found);
  if (isRefused(complete)) return refuse(terminal, origin, complete);
  const { stream } = asked;
  if (asked.json) terminal.out(printableJson({ stream, letters: found, complete }));
  else terminal.out(reportOf(origin, stream, found, complete));
  return EXIT.OK;
}

function reportOf(origin: string, stream: string, letters: readonly Letter[], complete: boolean): string {
  if (letters.length === 0) return `${origin} has no dead letters of ${stream}\n`;
  const which = complete ? '' : 'the oldest ';
  const head = `${origin} has ${which}${counted(letters.length)} of ${stream}${complete ? '' : ', and perhaps more: --all'}`;
  const rows = letters.map(({ arrivalMs, base64, id, reason, source, text }) => [
    plain(id),
    timeOf(arrivalMs),
    plain(source),
    cut(plain(reason)),
    base64 ? `base64 ${cut(plain(text))}` : cut(plain(text)),
  ]);
  return `${head}\n\n${table(['id', 'arrived', 'source', 'reason', 'event'], rows)}`;
}

const counted = (letters: number): string => `${letters} dead ${letters === 1 ? 'letter' : 'letters'}`;

const cut = (text: string): string =>
  text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text;

function timeOf(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? '?' : time.toISOString();
}

async function act(action: Action, { asked, letters, origin, terminal }: World): Promise<number> {
  const ids: string[] = [...asked.ids];
  if (asked.all) {
    const complete = await letters.each((page) => void ids.push(...page.map(({ id }) => id)));
    if (isRefused(complete)) return refuse(terminal, origin, complete);
    if (!complete)
      writeProblems(terminal, [`only the oldest ${LETTERS_READ_MAX} are taken: run it again for the rest`]);
  }
  let tally: Tally = { letters: 0, accepted: 0, rejected: 0, late: 0, dropped: 0 };
  for (let from = 0; from < ids.length; from += PAGE_LETTERS_MAX) {
    const done = await letters.order(action, ids.slice(from, from + PAGE_LETTERS_MAX));
    if (isRefused(done)) {
      const before = from === 0 ? '' : ` (after the first ${from} of ${ids.length}: ${inWords(action, tally)})`;
      return refuse(terminal, origin, { ...done, message: `${done.message}${before}` });
    }
    tally = sum(tally, done);
  }
  const { accepted, dropped, late, rejected } = tally;
  const missing = ids.length - tally.letters;
  const counts = action === 'drop' ? { dropped } : { accepted, rejected, late };
  if (asked.json) terminal.out(printableJson({ stream: asked.stream, action, asked: ids.length, ...counts, missing }));
  else if (ids.length === 0) terminal.out(`${origin} has no dead letters of ${asked.stream}\n`);
  else {
    const gone = missing === 0 ? '' : `, ${missing} not found or already taken`;
    terminal.out(`${counted(ids.length)} of ${asked.stream}: ${inWords(action, tally)}${gone}\n`);
  }
  return rejected === 0 && missing === 0 ? EXIT.OK : EXIT.FAILED;
}

const sum = (a: Tally, b: Tally): Tally => ({
  letters: a.letters + b.letters,
  accepted: a.accepted + b.accepted,
  rejected: a.rejected + b.rejected,
  late: a.late + b.late,
  dropped: a.dropped + b.dropped,
});

function inWords(action: Action, { accepted, dropped, late, rejected }: Tally): string {
  if (action === 'drop') return `${dropped} dropped`;
  return `${accepted} accepted${late === 0 ? '' : ` (${late} of them late)`}, ${rejected} refused again`;
}

function refuse(terminal: Terminal, origin: string, { answered, message }: Refused): number {
  writeProblems(terminal, [`${origin}: ${plain(message)}`]);
  return answered ? EXIT.FAILED : EXIT.UNAVAILABLE;
}
