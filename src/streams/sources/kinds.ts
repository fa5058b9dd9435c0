/**
 * The sources there are, by the `type` of their declaration.
 */
import { fileSourceKind } from './file-source.ts';
import { machineSourceKind } from './machine-source.ts';
import type { SourceKind } from './port.ts';

const KINDS: readonly SourceKind[] = [fileSourceKind, machineSourceKind];

export const SOURCE_KINDS: ReadonlyMap<string, SourceKind> = new Map(KINDS.map((kind) => [kind.type, kind]));
