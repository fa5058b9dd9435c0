import { MemoryDeadLetterStore } from '../../../src/streams/dead-letters/memory-store.ts';
import { storeContract } from './store-contract.ts';

storeContract('memory', (_, limits) => new MemoryDeadLetterStore(limits));
