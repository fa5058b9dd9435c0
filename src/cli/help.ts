/**
 * The help texts. Those of the options are made from the option table, so they cannot fall behind it.
 */
import { OPTIONS, type Option } from '../config/options.ts';
import type { Command } from './command-line.ts';

const USAGE = `millrace: an MCP server runtime

  millrace serve [options]              serve over HTTP and WebSocket
  millrace stdio [options]              serve one local client over stdin and stdout
  millrace check [options] [--json]     check the configuration and print it
  millrace init [folder]                start a project
  millrace status [--url U] [--all] [--json]
                                        ask a running server how it is
  millrace <command> --help             more about one command
  millrace --version

Options come from millrace.config.{ts,js,mjs,json,yaml,yml} in the working directory (or --config FILE), then from
MILLRACE_* variables, then from flags; the later wins.
Exit codes: 0 done, 1 failed, 64 wrong usage, 69 no answer, 73 folder not usable, 78 configuration refused.
`;

const STATUS = `millrace status [--url U] [--all] [--json]

  --url U    server to ask (default http://127.0.0.1:8080)
  --all      show nodes that are stopping too
  --json     print JSON

Exit codes: 0 ready, 1 not ready, 69 no answer.
`;

const INIT = `millrace init [folder]

Writes a small typed project (one tool, its test, a configuration) into an empty or new folder, by default this one.
`;

export function helpFor(command: Command | null): string {
  if (command === null) return USAGE;
  if (command === 'status') return STATUS;
  if (command === 'init') return INIT;
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
