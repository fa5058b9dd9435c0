/**
 * Opens a database file that lost its end without ending the process.
 *
 * LMDB maps the file and believes its header: reading a page behind the end is a SIGBUS, at the start or any time
 * later. So the file is extended with zeros to the length in its header: such pages read as damaged ones, which LMDB
 * refuses and checksums find. The file cannot simply be refused: LMDB does not write pages at the end that it took and
 * gave back at once, so a shorter file need not be damaged.
 *
 * Layout of the meta pages (LMDB's own, little-endian), at 0 and at one page size; the one with the higher transaction
 * counts:
 *
 *   24      48             144            152
 *   │ magic │ page size u32 │ last page u64 │ transaction u64
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';

const MAGIC = 0xbeefc0de;
const MAGIC_AT = 24;
const PAGE_SIZE_AT = 48;
const LAST_PAGE_AT = 144;
const TRANSACTION_AT = 152;
const META_BYTES = 160;
const PAGE_BYTES_MAX = 65_536;
/** A header that asks for more is damaged. */
const FILE_BYTES_MAX = 2 ** 45;

/** Restores the length; gives a text that says what is wrong when the header cannot be right. No file is right. */
export function restoreLength(file: string): string | null {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r+');
  } catch (error) {
    // LMDB makes it, or says better why it cannot.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : String(error);
  }
  try {
    const { size } = fstatSync(descriptor);
    if (size === 0) return null;
    const needed = neededBytes(descriptor);
    if (needed === null || needed > FILE_BYTES_MAX) return `${file} has no valid header`;
    if (size < needed) ftruncateSync(descriptor, needed);
    return null;
  } finally {
    closeSync(descriptor);
  }
}

function neededBytes(descriptor: number): number | null {
  const first = readMeta(descriptor, 0);
  if (first === null) return null;
  const second = readMeta(descriptor, first.pageBytes);
  if (second === null) return null;
  return (first.transaction > second.transaction ? first : second).bytes;
}

function readMeta(descriptor: number, at: number): { pageBytes: number; transaction: bigint; bytes: number } | null {
  const meta = Buffer.alloc(META_BYTES);
  if (readSync(descriptor, meta, 0, META_BYTES, at) < META_BYTES) return null;
  const pageBytes = meta.readUInt32LE(PAGE_SIZE_AT);
  const plausible = pageBytes >= META_BYTES && pageBytes <= PAGE_BYTES_MAX && (pageBytes & (pageBytes - 1)) === 0;
  if (meta.readUInt32LE(MAGIC_AT) !== MAGIC || !plausible) return null;
  const bytes = (Number(meta.readBigUInt64LE(LAST_PAGE_AT)) + 1) * pageBytes;
  return { pageBytes, transaction: meta.readBigUInt64LE(TRANSACTION_AT), bytes };
}
