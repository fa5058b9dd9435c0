/**
 * The help texts. Those of the options are made from the option table, so they cannot fall behind it.
 */
import { OPTIONS, type Option } from '../config/options.ts';
import type { Command } from './command-line.ts';
import { PAGE_LETTERS_MAX } from './dead-letters.ts';

const USAGE = `millrace: an MCP server runtime

  millrace serve [options]              serve over HTTP and WebSocket
  millrace stdio [options]              serve one local client over stdin and stdout
  millrace check [options] [--json]     check the configuration and print it
  millrace init [folder] [--streams]    start a project
  millrace status [--url U] [--all] [--json]
                                        ask a running server how it is
  millrace streams dlq list|replay|drop STREAM
                                        dead letters of a running server's stream
  millrace <command> --help             more about one command
  millrace --version

Options come from millrace.config.{ts,mts,js,mjs,json,yaml,yml} in the working directory (or --config FILE), then from
MILLRACE_* variables, then from flags; the later wins.
Exit codes: 0 done, 1 failed, 64 wrong command line, 69 no answer, 73 folder not usable, 78 configuration
refused for what a file or a variable says.
`;

const STATUS = `millrace status [--url U] [--all] [--json]

  --url U    server to ask (default http://127.0.0.1:8080)
  --all      show nodes that are stopping too, and the names of the tools
  --json     print JSON

Exit codes: 0 all is well, 1 not ready, degraded or with warnings, 69 no answer.
`;

const INIT = `millrace init [folder] [--streams]

Writes a small typed project (one tool, its test, a configuration) into an empty or new folder, by default this one.

  --streams  with a live stream of this machine's counters: windows, an anomaly detector, an alert
`;

const STREAMS = `millrace streams dlq list STREAM [--all] [--url U] [--token T] [--json]
millrace streams dlq replay STREAM --ids ID,ID,…|--all [--url U] [--token T] [--json]
millrace streams dlq drop STREAM --ids ID,ID,…|--all [--url U] [--token T] [--json]

Dead letters are events a stream could not take. list shows the oldest ${PAGE_LETTERS_MAX}, replay sends them to the stream again (one
that is refused again comes back under a new id), drop forgets them.

  --ids I    ids as list prints them, with commas between them
  --all      every dead letter the stream has now
  --url U    server to ask (default http://127.0.0.1:8080)
  --token T  bearer token, where the server wants one
  --json     print JSON

Exit codes: 0 done, 1 refused by the server, or some were refused again or not there, 64 wrong usage, 69 no answer.
`;

export function helpFor(command: Command | null): string {
  if (command === null) return USAGE;
  if (command === 'status') return STATUS;
  if (command === 'init') return INIT;
  if (command === 'streams') return STREAMS;
  const own = command === 'check' ? '\n  --json\n      Print JSON.' : '';
  return `millrace ${command} [options]

  --config FILE
      Configuration file. Variable: MILLRACE_CONFIG.${own}
${OPTIONS.map(describe).join('')}`;
}

function describe(option: Option): string {
  const { facts } = option;
  const flag = option.flag === null ? `(${option.name}: file or variable only)` : `--${option.flag}${argument(option)}`;
  const range = `${facts.allowed.charAt(0).toUpperCase()}${facts.allowed.slice(1)}; default ${shownDefault(option)}.`;
  return `  ${flag}\n      ${facts.description}\n      ${range} Variable: ${option.env}\n`;
}

function argument(option: Option): string {
  if (option.facts.form === 'boolean') return option.initial === true ? `, --no-${option.flag}` : '';
  return option.facts.form === 'list' ? ' VALUE (repeatable)' : ' VALUE';
}

function shownDefault(option: Option): string {
  if (Array.isArray(option.initial)) return option.initial.length === 0 ? 'none' : option.initial.join(', ');
  return option.initial === '' ? 'none' : String(option.initial);
}
