import { MemoryCheckpointStore } from './memory-store.ts';
import { storeContract } from './store-contract.ts';

storeContract('memory', (_, keep) => new MemoryCheckpointStore(keep));
