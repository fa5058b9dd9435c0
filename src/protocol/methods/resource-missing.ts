/**
 * The fault of a resource that does not exist: its code changed between revisions, its data did not.
 */
import { type Fault, fault } from '../faults.ts';
import type { Revision } from '../revisions.ts';

/** Characters of an unknown URI that the answer repeats. */
const SHOWN_MAX = 2048;

export function resourceMissing(revision: Revision, uri: string): Fault {
  const name = revision.resourceNotFoundCode === -32002 ? 'resourceNotFound' : 'invalidParams';
  const shown = uri.length > SHOWN_MAX ? `${uri.slice(0, SHOWN_MAX)}…` : uri;
  return fault(name, 'resource not found', { uri: shown });
}
