/**
 * A process that reads its standard input as a source, prints what came, and stops after the second line.
 */
import { fileSourceKind } from '../../../src/streams/sources/file-source.ts';
import { linesOf, TestHost } from './test-host.ts';

const host = new TestHost();
const source = fileSourceKind.create({ type: 'file', path: '-' }, 's', host);
await source.start(new Map());
await host.until(() => host.lines().length === 2);
for (const batch of host.logged) for (const line of linesOf(batch)) process.stdout.write(`${line}\n`);
await source.stop();
process.stdout.write('stopped\n');
