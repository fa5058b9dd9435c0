/**
 * The script wrk is given, and what it prints.
 *
 * Role: wrk has no flags for bodies, several requests or a full latency curve; its Lua hooks do. All requests are made
 * once, before the first is sent; `done` prints one line of JSON. wrk is asked for percentiles at the points of the
 * curve, in microseconds. Its latencies are of a closed loop, corrected by wrk itself with the average interval between
 * the requests of a connection; it looks at statuses, not at bodies.
 */
import { CURVE_PERCENTILES } from '../measure/percentiles.ts';
import type { WireRequest } from '../wire/request.ts';

export interface WrkResult {
  readonly requests: number;
  readonly elapsedUs: number;
  /** Answers that were not 2xx or 3xx. */
  readonly wrong: number;
  /** Connections and requests that failed or timed out. */
  readonly broken: number;
  readonly curveUs: readonly number[];
}

const MARK = 'millrace-bench ';

export function wrkScript(requests: readonly WireRequest[], path: string): string {
  const made = requests.map(({ headers, body }) => {
    const pairs = Object.entries(headers).map(([name, value]) => `[${lua(name)}]=${lua(value)}`);
    return `  { { ${pairs.join(', ')} }, ${lua(body)} },`;
  });
  return `local given = {
${made.join('\n')}
}
local requests = {}
local at = 0
function init(args)
  for i, r in ipairs(given) do requests[i] = wrk.format("POST", ${lua(path)}, r[1], r[2]) end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency, _)
  local points = {}
  for i, p in ipairs({ ${CURVE_PERCENTILES.join(', ')} }) do
    points[i] = string.format("%d", p >= 100 and latency.max or latency:percentile(p))
  end
  local e = summary.errors
  io.write(string.format('${MARK}{"requests":%d,"elapsedUs":%d,"wrong":%d,"broken":%d,"curveUs":[%s]}\\n',
    summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout, table.concat(points, ",")))
end
`;
}

/** Every byte that is not plain as a decimal escape. */
function lua(text: string): string {
  const bytes = Array.from(Buffer.from(text), (byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\${String(byte).padStart(3, '0')}`,
  );
  return `"${bytes.join('')}"`;
}

/** Throws with what wrk printed when the line is not there. */
export function parseWrk(output: string): WrkResult {
  const line = output.split('\n').find((candidate) => candidate.startsWith(MARK));
  if (line === undefined) throw new Error(`wrk printed no result: ${output.slice(0, 500)}`);
  const result: unknown = JSON.parse(line.slice(MARK.length));
  return result as WrkResult;
}
