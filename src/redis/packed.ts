/**
 * How values are written to Redis: one version byte, then MessagePack.
 *
 * Role: a rolling restart has nodes of two versions at once. A value of a version that is not known here reads as
 * absent (`null`), never as something else.
 */
import { Packr } from 'msgpackr';

const packr = new Packr({ useRecords: false, variableMapSize: true });

export function pack(version: number, value: unknown): Buffer {
  const body = packr.pack(value);
  const bytes = Buffer.allocUnsafe(1 + body.length);
  bytes[0] = version;
  body.copy(bytes, 1);
  return bytes;
}

/** Null when it is absent, of another version or damaged. The caller checks the shape of what it gets. */
export function unpack(version: number, bytes: unknown): unknown {
  if (!(bytes instanceof Uint8Array) || bytes.length < 2 || bytes[0] !== version) return null;
  try {
    return packr.unpack(bytes.subarray(1));
  } catch {
    // Damaged: as good as absent, and whoever asked can tell.
    return null;
  }
}
