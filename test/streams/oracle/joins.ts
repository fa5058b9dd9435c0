/**
 * The rows a join of a case must lead to, as one SQL join over all its events.
 *
 * Role: the oracle for joins in time. The watermark of a join is the lower one of both streams. An event is held while
 * the watermark is below its last use: ts + upper (left) or ts − lower (right) of an interval join, the last millisecond
 * of the window, and the time itself of a left event that looks up. An interval pair exists when the one that came first
 * was still held at the watermark before the other's batch; a window pair when neither came after its last use; a
 * look-up takes the newest version that had come when the watermark passed the left event.
 * A row's bounds are the first and last time in it. Rows are compared as a multiset: several pairs may look alike.
 * Left rows without a partner are expected once the watermark has passed their last use, at once when it has already and
 * they are not late themselves.
 */
import type { JoinDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';
import { type Admitted, type AdmittedEvent, admit } from './admission.ts';
import { type OracleCase, type Scalar, streamOf } from './case.ts';
import { oracleDatabase } from './database.ts';
import { expressionSql, quoted } from './expression-sql.ts';

export interface ExpectedPair {
  readonly start: number;
  readonly end: number;
  readonly values: Readonly<Record<string, Scalar>>;
}

export function joinOf(given: OracleCase, name: string): { stream: StreamDefinition; join: JoinDefinition } {
  for (const stream of given.streams) {
    const join = stream.joins?.find((each) => name === '' || each.name === name);
    if (join !== undefined) return { stream, join };
  }
  throw new Error(`the case has no join ${name}`);
}

export async function expectedJoin(given: OracleCase, name = ''): Promise<ExpectedPair[]> {
  const { stream, join } = joinOf(given, name);
  const right = streamOf(given, join.with);
  const [ofLeft, ofRight] = [admit(given, stream), admit(given, right)];
  const watermarks = given.steps.map((_, step) => both(ofLeft, ofRight, step));
  const withWatermark = (events: readonly AdmittedEvent[]): AdmittedEvent[] =>
    events.map((event) => ({ ...event, watermark: both(ofLeft, ofRight, event.step - 1) }));
  const database = await oracleDatabase();
  const leftTable = await database.load(stream.schema, withWatermark(ofLeft.events));
  const rightTable = await database.load(right.schema, withWatermark(ofRight.events));
  const progress = await database.loadNumbers(
    ['_step', '_wm'],
    watermarks.map((watermark, step) => [step, watermark]),
  );
  const rows = await database.rows(joinSql(join, leftTable, rightTable, progress));
  await database.drop(leftTable, rightTable, progress);
  return rows.map((row) => ({
    start: row['_start'] as number,
    end: row['_end'] as number,
    values: Object.fromEntries(Object.keys(join.select).map((each) => [each, (row[each] ?? null) as Scalar])),
  }));
}

function both(left: Admitted, right: Admitted, step: number): number {
  const of = ({ watermarks }: Admitted): number => watermarks[step] ?? Number.NEGATIVE_INFINITY;
  return Math.min(of(left), of(right));
}

interface JoinRule {
  /** Of a left and a right row: the pair exists. */
  readonly pairs: string;
  /** Last use of a left row. */
  readonly lastUse: string;
  /** Of a left row: it takes part at all. */
  readonly leftKept: string;
  /** Order of partners, where only the first one counts; `''`: all. */
  readonly newest: string;
}

function joinSql(join: JoinDefinition, left: string, right: string, progress: string): string {
  const items = Object.entries(join.select).map(([name, text]) => `${expressionSql(text)} AS ${quoted(name)}`);
  const keys = join.on.left.map(
    (name, i) => `left_row.${quoted(name)} = right_row.${quoted(join.on.right[i] ?? name)}`,
  );
  const where = join.where === undefined ? 'TRUE' : expressionSql(join.where);
  const rule = ruleOf(join);
  const told = `(SELECT min(_step) FROM ${progress} WHERE ${progress}._wm >= ${rule.lastUse})`;
  const condition = [...keys, rule.pairs.replaceAll('$told', told)].join(' AND ');
  const end = `(SELECT max(_wm) FROM ${progress})`;
  const isTold = `${rule.lastUse} <= ${end}`;
  const part = 'PARTITION BY left_row._step, left_row._row';
  const first = rule.newest === '' ? '' : `QUALIFY row_number() OVER (${part} ORDER BY ${rule.newest}) = 1`;
  // Look-ups choose the version first and judge the pair then; the others judge every pair.
  const candidates = `
    SELECT left_row, right_row FROM ${left} AS left_row JOIN ${right} AS right_row ON ${condition}
    WHERE ${rule.leftKept} ${rule.newest === '' ? '' : `AND ${isTold}`} ${first}`;
  const pairs = `SELECT * FROM (${candidates}) AS candidates WHERE ${where}`;
  const bounds = `
    least(left_row._ts, right_row._ts)::DOUBLE AS _start, greatest(left_row._ts, right_row._ts)::DOUBLE AS _end`;
  const inner = `SELECT ${[bounds, ...items].join(', ')} FROM (${pairs}) AS pairs`;
  if (join.kind !== 'left') return inner;
  // No row of the right table: null, with its members.
  const alone = `
    SELECT left_row, (SELECT right_row FROM ${right} AS right_row LIMIT 0) AS right_row FROM ${left} AS left_row
    WHERE ${isTold} AND left_row._wm < greatest(left_row._ts, ${rule.lastUse})
      AND (_step, _row) NOT IN (SELECT (pairs.left_row._step, pairs.left_row._row) FROM (${pairs}) AS pairs)`;
  return `${inner} UNION ALL SELECT ${[bounds, ...items].join(', ')} FROM (${alone}) AS alone`;
}

function ruleOf(join: JoinDefinition): JoinRule {
  const [l, r] = ['left_row._ts', 'right_row._ts'];
  if (join.type === 'interval') {
    const lower = join.lowerMs ?? 0;
    const upper = join.upperMs ?? 0;
    const leftFirst = '(left_row._step, left_row._row) < (right_row._step, right_row._row)';
    const held = `CASE WHEN ${leftFirst} THEN ${l} + ${upper} > right_row._wm ELSE ${r} - ${lower} > left_row._wm END`;
    const within = `${r} - ${l} BETWEEN ${lower} AND ${upper}`;
    return { pairs: `${within} AND ${held}`, lastUse: `(${l} + ${upper})`, leftKept: 'TRUE', newest: '' };
  }
  if (join.type === 'window') {
    const size = join.sizeMs ?? 0;
    const start = (ts: string): string => `(${ts} - (((${ts} % ${size}) + ${size}) % ${size}))`;
    const last = (ts: string): string => `(${start(ts)} + ${size} - 1)`;
    const kept = `left_row._wm < ${last(l)} AND right_row._wm < ${last(r)}`;
    const closes = '$told IS NOT NULL';
    const pairs = `${start(l)} = ${start(r)} AND ${kept} AND ${closes}`;
    return { pairs, lastUse: last(l), leftKept: 'TRUE', newest: '' };
  }
  const age = join.ttlMs === undefined || join.ttlMs === 0 ? 'TRUE' : `${l} - ${r} <= ${join.ttlMs}`;
  return {
    pairs: `${r} <= ${l} AND right_row._step <= $told AND ${age}`,
    lastUse: l,
    leftKept: `left_row._wm < ${l}`,
    newest: `${r} DESC, right_row._step DESC, right_row._row DESC`,
  };
}
