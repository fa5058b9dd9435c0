/**
 * Rows of a folder of Parquet files, as hyparquet reads them.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parquetReadObjects } from 'hyparquet';

export type ParquetRow = Readonly<Record<string, unknown>>;

export async function filesOf(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.parquet')).sort();
}

export async function rowsOf(folder: string): Promise<ParquetRow[]> {
  const rows: ParquetRow[] = [];
  for (const name of await filesOf(folder)) {
    const bytes = await readFile(join(folder, name));
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
    rows.push(...((await parquetReadObjects({ file })) as ParquetRow[]));
  }
  return rows;
}

/** The line that the contract's `line` made. */
export function lineOfRow(row: ParquetRow): string {
  const { id, stream, name, pane, timing, final } = row;
  const [start, end] = [Number(row['start']), Number(row['end'])];
  const values = { n: row['value_n'], text: row['value_text'] ?? null };
  return JSON.stringify({ id, stream, name, key: { k: row['key_k'] }, start, end, pane, timing, final, values });
}
