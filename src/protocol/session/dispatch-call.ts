// HOT PATH
/**
 * Hands a request to the methods and remembers how to stop it.
 *
 * Role: the one place where a call leaves the transport. A method that throws is a bug: it is logged with its cause,
 * the client is told that something went wrong, and the call is over like any other.
 */
import type { Log } from '../../observe/port.ts';
import type { Caller, Channel, Methods, RequestEnvelope } from '../channel.ts';
import { faultFrom } from '../faults.ts';
import type { Call } from './call-list.ts';

export function dispatchCall(
  methods: Methods,
  caller: Caller,
  request: RequestEnvelope,
  call: Call & Channel,
  log: Log,
): void {
  try {
    const open = methods.request(caller, request, call);
    if (!call.done) call.request = open;
  } catch (cause) {
    log.error({ err: cause, method: request.method }, 'a method failed');
    call.abandoned(faultFrom(cause));
  }
}
