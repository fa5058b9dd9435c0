import { MemoryCheckpointStore } from '../../../src/streams/checkpoints/memory-store.ts';
import { storeContract } from './store-contract.ts';

storeContract('memory', (_, keep) => new MemoryCheckpointStore(keep));
