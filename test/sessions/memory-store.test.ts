/** The embedded session store keeps to the contract. */
import { MemorySessionStore } from '../../src/sessions/memory-store.ts';
import { sessionStoreContract } from './session-store.contract.ts';

sessionStoreContract('memory', async (limits) => new MemorySessionStore(limits));
