import { MemoryLog } from '../../../src/streams/log/memory-log.ts';
import { logContract } from './log-contract.ts';

logContract('memory', (_, bytesMax) => new MemoryLog(bytesMax === undefined ? {} : { bytesMax }));
