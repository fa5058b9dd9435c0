/** The contract on node:http. */
import { httpContract } from './http.contract.ts';

httpContract('node');
