/**
 * Expressions of stream definitions as DuckDB SQL.
 *
 * Role: a second reading of the expression language, by its description rather than its code, so that conditions and
 * selected values of a case can be judged in SQL. A comparison with something absent is false, a division by zero is
 * absent, `x == null` asks whether x is absent. `left.x` and `right.x` are columns of `left_row` and `right_row`.
 * Steps of patterns are not read. What is not known throws.
 */

const TOKEN =
  /\s*(?:(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([A-Za-z_][\w.]*)|([<>=!]=|&&|\|\||[-+*/%<>!?:()[\],]))/y;

type Write = (left: string, right: string) => string;

const plain =
  (sign: string): Write =>
  (left, right) =>
    `(${left} ${sign} ${right})`;
const compared =
  (sign: string): Write =>
  (left, right) =>
    `coalesce(${left} ${sign} ${right}, FALSE)`;

const BINARY: Readonly<Record<string, readonly [power: number, write: Write]>> = {
  '||': [1, plain('OR')],
  '&&': [2, plain('AND')],
  '==': [3, (left, right) => (right === 'NULL' ? `(${left} IS NULL)` : compared('=')(left, right))],
  '!=': [3, (left, right) => (right === 'NULL' ? `(${left} IS NOT NULL)` : compared('<>')(left, right))],
  '<': [3, compared('<')],
  '<=': [3, compared('<=')],
  '>': [3, compared('>')],
  '>=': [3, compared('>=')],
  in: [3, compared('IN')],
  '+': [4, plain('+')],
  '-': [4, plain('-')],
  '*': [5, plain('*')],
  '/': [5, (left, right) => `(${left} / nullif(${right}, 0))`],
  '%': [5, (left, right) => `(${left} % nullif(${right}, 0))`],
};
const FUNCTIONS: Readonly<Record<string, (...args: string[]) => string>> = {
  abs: (x) => `abs(${x})`,
  floor: (x) => `floor(${x})`,
  ceil: (x) => `ceil(${x})`,
  round: (x) => `round(${x})`,
  sqrt: (x) => `sqrt(${x})`,
  min: (...all) => `least(${all.join(', ')})`,
  max: (...all) => `greatest(${all.join(', ')})`,
  size: (x) => `length(${x})::DOUBLE`,
  lower: (x) => `lower(${x})`,
  upper: (x) => `upper(${x})`,
  contains: (x, part) => `coalesce(contains(${x}, ${part}), FALSE)`,
  startsWith: (x, part) => `coalesce(starts_with(${x}, ${part}), FALSE)`,
  endsWith: (x, part) => `coalesce(ends_with(${x}, ${part}), FALSE)`,
  occurrences: (x, part) => `((length(${x}) - length(replace(${x}, ${part}, ''))) / length(${part}))::DOUBLE`,
  part: (x, separator, n) => `list_extract(string_split(${x}, ${separator}), (${n} + 1)::INTEGER)`,
  has: (x) => `(${x} IS NOT NULL)`,
  coalesce: (...all) => `coalesce(${all.join(', ')})`,
  hour: (ts) => `(floor(${ts} / 3600000) % 24)`,
  date: (ts) => `strftime(make_timestamp(floor(${ts})::BIGINT * 1000), '%Y-%m-%d')`,
};
const CONSTANTS: Readonly<Record<string, string>> = { true: 'TRUE', false: 'FALSE', null: 'NULL' };

export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

class Reader {
  readonly #text: string;
  #at = 0;
  /** The next token; `''` at the end. */
  next = '';
  kind: 'number' | 'string' | 'name' | 'sign' | 'end' = 'end';

  constructor(text: string) {
    this.#text = text;
    this.step();
  }

  step(): string {
    const { next } = this;
    TOKEN.lastIndex = this.#at;
    const match = TOKEN.exec(this.#text);
    if (match === null) {
      if (this.#text.slice(this.#at).trim() !== '') throw new Error(`no expression: ${this.#text.slice(this.#at)}`);
      this.next = '';
      this.kind = 'end';
      return next;
    }
    this.#at = TOKEN.lastIndex;
    const [, number, string, name, sign] = match;
    this.next = number ?? string ?? name ?? sign ?? '';
    this.kind =
      number !== undefined ? 'number' : string !== undefined ? 'string' : name !== undefined ? 'name' : 'sign';
    return next;
  }

  expect(sign: string): void {
    if (this.step() !== sign) throw new Error(`expected ${sign} in ${this.#text}`);
  }
}

export function expressionSql(text: string): string {
  const reader = new Reader(text);
  const sql = choice(reader);
  if (reader.kind !== 'end') throw new Error(`${reader.next} left over in ${text}`);
  return sql;
}

function choice(reader: Reader): string {
  const condition = binary(reader, 0);
  if (reader.next !== '?') return condition;
  reader.step();
  const then = choice(reader);
  reader.expect(':');
  return `(CASE WHEN ${condition} THEN ${then} ELSE ${choice(reader)} END)`;
}

function binary(reader: Reader, powerMin: number): string {
  let left = unary(reader);
  for (;;) {
    const operator = reader.kind === 'string' ? undefined : BINARY[reader.next];
    if (operator === undefined || operator[0] <= powerMin) return left;
    const isList = reader.step() === 'in';
    const right = isList ? `(${items(reader, '[', ']').join(', ')})` : binary(reader, operator[0]);
    left = operator[1](left, right);
  }
}

function unary(reader: Reader): string {
  if (reader.kind === 'sign' && reader.next === '!') {
    reader.step();
    return `(NOT ${unary(reader)})`;
  }
  if (reader.kind === 'sign' && reader.next === '-') {
    reader.step();
    return `(- ${unary(reader)})`;
  }
  return primary(reader);
}

function primary(reader: Reader): string {
  const { kind } = reader;
  const token = reader.step();
  if (kind === 'number') return `${token}::DOUBLE`;
  if (kind === 'string') return literal(token.slice(1, -1).replaceAll(/\\(.)/g, '$1'));
  if (kind === 'name') return named(reader, token);
  if (token !== '(') throw new Error(`unexpected ${token}`);
  const inner = choice(reader);
  reader.expect(')');
  return `(${inner})`;
}

function named(reader: Reader, name: string): string {
  const constant = CONSTANTS[name];
  if (constant !== undefined) return constant;
  const [side = '', member] = name.split('.');
  if (reader.next === '(') {
    const write = FUNCTIONS[member ?? name];
    if (write === undefined) throw new Error(`no function ${name}`);
    return write(...(member === undefined ? [] : [quoted(side)]), ...items(reader, '(', ')'));
  }
  return member === undefined ? quoted(name) : `${side}_row.${quoted(member)}`;
}

function items(reader: Reader, open: string, close: string): string[] {
  reader.expect(open);
  const list = [choice(reader)];
  while (reader.next === ',') {
    reader.step();
    list.push(choice(reader));
  }
  reader.expect(close);
  return list;
}
