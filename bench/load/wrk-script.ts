/**
 * The script wrk is given, and what it prints.
 *
 * Role: wrk has no flags for bodies, several requests or a full latency curve; its Lua hooks do. All requests are made
 * once, before the first is sent; `done` prints one line of JSON. wrk is asked for percentiles at the points of the
 * curve, in microseconds. Its latencies are of a closed loop, corrected by wrk itself with the average interval between
 * the requests of a connection. It looks at statuses; at bodies only where answers are read (`readsResults`), since a
 * hook for each answer takes a part of its speed. Its latencies are of all answers, good or not.
 */
import { CURVE_PERCENTILES } from '../measure/percentiles.ts';
import type { LoadGroup } from './job.ts';

export interface WrkResult {
  readonly requests: number;
  readonly elapsedUs: number;
  /** 503 and 429. 0 where answers are not read: they are wrong, then. */
  readonly refused: number;
  /** Answers that were not 2xx or 3xx; where they are read: not 2xx, or without the text or the result. */
  readonly wrong: number;
  /** Connections and requests that failed or timed out. */
  readonly broken: number;
  /** First wrong answer, where they are read. */
  readonly problem: string;
  readonly curveUs: readonly number[];
}

const MARK = 'millrace-bench ';

const PROBLEM_CHARS_MAX = 200;

/**
 * Counts answers in each thread. Errors are found without parsing: in text their quotes have backslashes before them; in
 * a structured result somebody's own `isError`, or an `error` before the result, would be taken for one. What was cut off
 * is found where its end is missing. More answers than requests: some were nobody's.
 */
const reading = (contains: string): string => `
wrong, refused, answers, problem = 0, 0, 0, ""
function response(status, _, body)
  answers = answers + 1
  local result, failure = body:find('"result"', 1, true), body:find('"error"%s*:%s*{')
  if status == 503 or status == 429 then refused = refused + 1
  elseif status < 200 or status > 299 or not body:find(${lua(contains)}, 1, true) or not result
    or (failure and failure < result) or body:find('"isError"%s*:%s*true') or not body:match('.*}%s*$') then
    wrong = wrong + 1
    if problem == "" then problem = status .. " " .. body:sub(1, ${PROBLEM_CHARS_MAX}) end
  end
end
`;

/** Each of the threads has requests of its own: two of one session with the same id must not be on their way at once. */
export function wrkScript(group: LoadGroup, path: string, threads: number): string {
  const made = group.requests.map(({ headers, body }) => {
    const pairs = Object.entries(headers).map(([name, value]) => `[${lua(name)}]=${lua(value)}`);
    return `  { { ${pairs.join(', ')} }, ${lua(body)} },`;
  });
  return `local given = {
${made.join('\n')}
}
local requests = {}
local at = 0
sent = 0
local threads = {}
function setup(thread)
  thread:set("first", #threads)
  table.insert(threads, thread)
end
function init(args)
  for i, r in ipairs(given) do
    local mine = #given < ${threads} or (i - 1) % ${threads} == first
    if mine then table.insert(requests, wrk.format("POST", ${lua(path)}, r[1], r[2])) end
  end
end
function request()
  at = at % #requests + 1
  sent = sent + 1
  return requests[at]
end
${group.readsResults ? reading(group.contains) : ''}
function done(summary, latency, _)
  local points = {}
  for i, p in ipairs({ ${CURVE_PERCENTILES.join(', ')} }) do
    points[i] = string.format("%d", p >= 100 and latency.max or latency:percentile(p))
  end
  local e = summary.errors
  local failed, busy, lost, first = e.status, 0, e.connect + e.read + e.write + e.timeout, ""
  if response then
    failed = 0
    for _, thread in ipairs(threads) do
      failed = failed + thread:get("wrong")
      local unasked = thread:get("answers") - thread:get("sent")
      if unasked > 0 then lost = lost + unasked end
      busy = busy + thread:get("refused")
      if first == "" then first = thread:get("problem") end
    end
  end
  local hex = first:gsub(".", function(c) return string.format("%02x", c:byte()) end)
  io.write(string.format('${MARK}{"requests":%d,"elapsedUs":%d,"refused":%d,"wrong":%d,"broken":%d,"problem":"%s","curveUs":[%s]}\\n',
    summary.requests, summary.duration, busy, failed, lost, hex, table.concat(points, ",")))
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
  const result = JSON.parse(line.slice(MARK.length)) as WrkResult;
  // Of no answers wrk says that they took no time.
  const curveUs = result.requests === 0 ? [] : result.curveUs;
  return { ...result, problem: Buffer.from(result.problem, 'hex').toString(), curveUs };
}
