/**
 * The peers, in the order they are shown.
 */
import type { Peer } from './peer.ts';
import { typedColumns } from './peer-columns.ts';
import { duckdb } from './peer-duckdb.ts';
import { mapOverJson, mapOverRows } from './peer-map.ts';
import { millraceColumns, millraceMsgpack, millraceNdjson } from './peer-millrace.ts';
import { rxjs } from './peer-rxjs.ts';

export const PEERS: readonly Peer[] = [
  millraceNdjson,
  millraceMsgpack,
  millraceColumns,
  mapOverJson,
  mapOverRows,
  rxjs,
  duckdb,
  typedColumns,
];
