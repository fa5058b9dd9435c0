/**
 * DuckDB in memory: where the oracle does its sums.
 *
 * Role: tables made of admitted events, and rows of queries as plain objects. Times are BIGINT, numbers DOUBLE, so
 * queries cast what they return to DOUBLE. Tables have names of their own: calls may overlap on the one connection.
 */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { FieldType, SchemaDefinition } from '../../../src/streams/define/definition.ts';
import type { AdmittedEvent } from './admission.ts';
import { quoted } from './expression-sql.ts';

const SQL_TYPE: Readonly<Record<FieldType, string>> = {
  number: 'DOUBLE',
  integer: 'DOUBLE',
  string: 'VARCHAR',
  boolean: 'BOOLEAN',
};

export type SqlRow = Readonly<Record<string, unknown>>;

export class OracleDatabase {
  readonly connection: DuckDBConnection;
  readonly #instance: DuckDBInstance;
  #tables = 0;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance;
    this.connection = connection;
  }

  static async open(threads = 1): Promise<OracleDatabase> {
    const instance = await DuckDBInstance.create(':memory:', { threads: String(threads) });
    return new OracleDatabase(instance, await instance.connect());
  }

  close(): void {
    this.connection.closeSync();
    this.#instance.closeSync();
  }

  async rows(sql: string): Promise<SqlRow[]> {
    const reader = await this.connection.runAndReadAll(sql);
    return reader.getRowObjectsJS();
  }

  /** Events: `_step, _row, _ts, _wm`, the schema's fields, and `ts` unless a field has that name. `drop` it after use. */
  async load(schema: SchemaDefinition, events: readonly AdmittedEvent[]): Promise<string> {
    const fields = Object.entries(schema.fields).map(([name, field]) => ({
      name,
      type: typeof field === 'string' ? field : field.type,
    }));
    const columns = fields.map(({ name, type }) => `${quoted(name)} ${SQL_TYPE[type]}`);
    const ts = 'ts' in schema.fields ? [] : ['ts DOUBLE AS (_ts::DOUBLE)'];
    const table = await this.create(['_step DOUBLE', '_row DOUBLE', '_ts BIGINT', '_wm DOUBLE', ...columns, ...ts]);
    const appender = await this.connection.createAppender(table);
    for (const event of events) {
      appender.appendDouble(event.step);
      appender.appendDouble(event.row);
      appender.appendBigInt(BigInt(event.ts));
      appender.appendDouble(event.watermark);
      for (const { name } of fields) {
        const value = event.fields[name] ?? null;
        if (value === null) appender.appendNull();
        else if (typeof value === 'number') appender.appendDouble(value);
        else if (typeof value === 'string') appender.appendVarchar(value);
        else appender.appendBoolean(value);
      }
      appender.endRow();
    }
    appender.closeSync();
    return table;
  }

  /** A table of numbers. */
  async loadNumbers(columns: readonly string[], rows: readonly (readonly number[])[]): Promise<string> {
    const table = await this.create(columns.map((name) => `${name} DOUBLE`));
    const appender = await this.connection.createAppender(table);
    for (const row of rows) {
      for (const value of row) appender.appendDouble(value);
      appender.endRow();
    }
    appender.closeSync();
    return table;
  }

  async create(columns: readonly string[]): Promise<string> {
    const table = `t${this.#tables++}`;
    await this.connection.run(`CREATE TABLE ${table} (${columns.join(', ')})`);
    return table;
  }

  async drop(...tables: readonly string[]): Promise<void> {
    for (const table of tables) await this.connection.run(`DROP TABLE ${table}`);
  }
}

let shared: Promise<OracleDatabase> | null = null;

/** The one of this process; it keeps nothing alive. */
export function oracleDatabase(): Promise<OracleDatabase> {
  shared ??= openShared();
  return shared;
}

/** Of small tables a query takes less time as it stands than it takes to find a better plan for it. */
async function openShared(): Promise<OracleDatabase> {
  const database = await OracleDatabase.open();
  await database.connection.run('PRAGMA disable_optimizer');
  return database;
}
