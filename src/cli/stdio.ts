/**
 * `millrace stdio`: the same catalogue for one local client over stdin and stdout.
 *
 * Stdout belongs to the protocol alone. Before anything else runs, `process.stdout` is pointed at stderr: then neither
 * `console.log` of a tool here nor the output of a worker, which Node pipes into `process.stdout`, can get between two
 * messages. It ends when the client closes stdin, or with a signal.
 */
import { createLog } from '../observe/log.ts';
import type { CommandLine } from './command-line.ts';
import { configure } from './configure.ts';
import { closed, started } from './serve.ts';
import { listenForStop } from './signals.ts';
import { EXIT, type Terminal } from './terminal.ts';

const END_OF_INPUT = 'end of input';

export async function stdio(line: CommandLine, terminal: Terminal): Promise<number> {
  const protocolOut = process.stdout;
  Object.defineProperty(process, 'stdout', { value: process.stderr, configurable: true, enumerable: true });
  const { settings } = await configure(line, terminal);
  const log = createLog(settings.logLevel, { node: settings.nodeId });
  const stopping = listenForStop(log);
  const runtime = await started(settings, log, terminal);
  if (runtime === null) return EXIT.FAILED;
  const ended = runtime.serveStdio(process.stdin, protocolOut);
  const why = await Promise.race([ended.then(() => END_OF_INPUT), stopping.asked]);
  log.info({ why }, 'closing');
  // Its requests are answered. What still runs are tasks, and unless another node can tell of them, nobody will ask.
  const isAlone = settings.redisUrl === '';
  const drainMs = why === END_OF_INPUT && isAlone ? 0 : settings.shutdownGraceMs;
  return closed(runtime, settings.shutdownGraceMs, log, drainMs);
}
