// HOT PATH
/**
 * What the headers of a stateless call lead to, remembered for the calls seen last.
 *
 * Role: clients repeat themselves, so method, name and Accept are read once: a table of the last ones hands back the
 * same record, with the entry found and the strings the engine has hashed before. Comparing four headers costs less
 * than decoding, matching and looking them up.
 * Bounds: `PLACES` records of headers of at most `LENGTH_MAX` characters; a newcomer replaces whoever has its place. A
 * record names an entry of one catalogue: another catalogue empties the table.
 */
import type { Catalogue, Entry } from '../catalogue/entry.ts';
import type { RequestHead } from '../frontend/port.ts';
import { decodeHeaderValue } from './header-values.ts';
import { accepts, STREAM_TYPE } from './request-headers.ts';
import { REVISION_2026_07_28 } from './revisions.ts';

const PLACES = 64;
const LENGTH_MAX = 256;

export class NamedCall {
  readonly version: string;
  readonly method: string;
  readonly rawName: string;
  readonly accept: string;
  /** Decoded `Mcp-Name`; null when absent or malformed. */
  readonly name: string | null;
  readonly nameMalformed: boolean;
  readonly canStream: boolean;
  /** What the headers call, where they say it all. Completions name their subject in the body. */
  readonly entry: Entry | undefined;
  /** The body can go to a worker as it is. */
  readonly direct: boolean;

  constructor(catalogue: Catalogue, version: string, method: string, rawName: string, accept: string) {
    this.version = version;
    this.method = method;
    this.rawName = rawName;
    this.accept = accept;
    this.name = rawName === '' ? null : decodeHeaderValue(rawName);
    this.nameMalformed = rawName !== '' && this.name === null;
    this.canStream = accept === '' || accepts(accept, STREAM_TYPE);
    this.entry = namedEntry(catalogue, method, this.name);
    this.direct = version === REVISION_2026_07_28.name && this.entry !== undefined && isDirect(this.entry);
  }
}

export class NamedCalls {
  #catalogue: Catalogue | null = null;
  readonly #places: (NamedCall | null)[] = new Array<NamedCall | null>(PLACES).fill(null);

  read(catalogue: Catalogue, head: RequestHead, version: string): NamedCall {
    const method = head.header('mcp-method');
    const name = head.header('mcp-name');
    const accept = head.header('accept');
    if (catalogue !== this.#catalogue) {
      this.#places.fill(null);
      this.#catalogue = catalogue;
    }
    const place = placeOf(method, name);
    const known = this.#places[place] as NamedCall | null;
    if (
      known !== null &&
      known.rawName === name &&
      known.method === method &&
      known.version === version &&
      known.accept === accept
    ) {
      return known;
    }
    const call = new NamedCall(catalogue, version, method, name, accept);
    if (version.length + method.length + name.length + accept.length <= LENGTH_MAX) this.#places[place] = call;
    return call;
  }
}

/** Whether a call, a task or a kept result is made of it is for the params to say. */
function isDirect(entry: Entry): boolean {
  return entry.task === 'never' && !(entry.cacheTtlMs > 0);
}

/** Spread by lengths and the name's ends; `charCodeAt` of nothing is NaN, which counts as 0. */
function placeOf(method: string, name: string): number {
  const ends = name.charCodeAt(0) * 3 + name.charCodeAt(name.length - 1) * 5;
  return (ends + method.length * 7 + name.length * 11) & (PLACES - 1);
}

function namedEntry(catalogue: Catalogue, method: string, name: string | null): Entry | undefined {
  if (name === null) return undefined;
  switch (method) {
    case 'tools/call':
      return catalogue.tool(name);
    case 'resources/read':
      return catalogue.resource(name);
    case 'prompts/get':
      return catalogue.prompt(name);
    default:
      return undefined;
  }
}
