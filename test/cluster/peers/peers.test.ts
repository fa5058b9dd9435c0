/** The contract of messages between nodes, on both front ends. */
import { loadNative } from '../../../src/frontend/uws/load.ts';
import { peersContract } from './peers.contract.ts';

peersContract('node');
if ('native' in loadNative()) peersContract('uws');
