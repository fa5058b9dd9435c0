/** The embedded session store keeps to the contract, exactly. */
import { MemorySessionStore } from '../../src/sessions/memory-store.ts';
import { exactSessionStoreContract, fakeTime, sessionStoreContract } from './session-store.contract.ts';

sessionStoreContract('memory', async (limits) => new MemorySessionStore(limits), fakeTime);
exactSessionStoreContract('memory', async (limits) => new MemorySessionStore(limits));
