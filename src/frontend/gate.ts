// HOT PATH
/**
 * Host and Origin checks: what keeps a web page from reaching this server through a name that resolves to it (DNS
 * rebinding) or from another origin.
 *
 * Role: the router asks it first, for every route and for WebSocket upgrades, before any body is read.
 * Invariants: a missing, empty or repeated `Host` never passes, whatever the lists say; an `Origin` header, `null`
 * included, must be on the list; a request without one comes from no browser and passes.
 * The rules are compiled once. The Host strings accepted last are kept, so that the usual check is one comparison.
 */
import { type Fault, fault } from '../protocol/faults.ts';
import type { RequestHead } from './port.ts';

export interface GateSettings {
  /** Address the server is bound to. */
  readonly host: string;
  /** Names or addresses without a port, or `*`. */
  readonly allowedHosts: readonly string[];
  /** `https://app.example`, or `*` for any but `null`. */
  readonly allowedOrigins: readonly string[];
}

const HOST_REFUSED: Fault = fault('forbidden', 'Host header is missing, repeated or not allowed');
const ORIGIN_REFUSED: Fault = fault('forbidden', 'Origin is not allowed');
/** Reg-name or IPv4, or an IPv6 literal in brackets; then an optional port. */
const HOST_SHAPE = /^([a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/;
const ORIGIN_SHAPE = /^https?:\/\/([a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/;
const LOOPBACK_ADDRESS = /^127(?:\.\d{1,3}){3}$/;
/** Longer than any name with a port: keeps hostile headers away from the expressions. */
const VALUE_LENGTH_MAX = 300;
const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];
/** Bound to, never a name of its own: browsers can be made to ask for `http://0.0.0.0`. */
const WILDCARD_ADDRESSES: readonly string[] = ['0.0.0.0', '[::]'];

export class Gate {
  readonly #hosts: ReadonlySet<string>;
  readonly #anyHost: boolean;
  readonly #origins: ReadonlySet<string>;
  readonly #anyOrigin: boolean;
  readonly #loopback: boolean;
  /** The four Host values accepted last, newest first. */
  #host0 = '';
  #host1 = '';
  #host2 = '';
  #host3 = '';
  #lastOrigin = '';

  constructor(settings: GateSettings) {
    const bound = bracketed(settings.host.toLowerCase());
    this.#loopback = isLoopback(bound);
    const hosts = settings.allowedHosts.map((name) => bracketed(name.toLowerCase()));
    this.#anyHost = hosts.includes('*');
    const own = WILDCARD_ADDRESSES.includes(bound) ? [] : [bound];
    this.#hosts = new Set(hosts.concat(own, this.#loopback ? LOOPBACK_NAMES : []));
    const origins = settings.allowedOrigins.map((origin) => origin.toLowerCase().replace(/\/$/, ''));
    this.#anyOrigin = origins.includes('*');
    this.#origins = new Set(origins);
  }

  /** Null when the request may go on. */
  check(head: RequestHead): Fault | null {
    const host = head.header('host');
    if (host === '' || (host !== this.#host0 && !this.#checkHost(host))) return HOST_REFUSED;
    const origin = head.header('origin');
    if (origin === '' || origin === this.#lastOrigin) return null;
    return this.#checkOrigin(origin) ? null : ORIGIN_REFUSED;
  }

  #checkHost(host: string): boolean {
    if (host === this.#host1 || host === this.#host2 || host === this.#host3) return true;
    if (host.length > VALUE_LENGTH_MAX) return false;
    const shape = HOST_SHAPE.exec(host.toLowerCase());
    if (shape === null) return false;
    if (!this.#anyHost && !this.#hosts.has(shape[1] as string)) return false;
    this.#host3 = this.#host2;
    this.#host2 = this.#host1;
    this.#host1 = this.#host0;
    this.#host0 = host;
    return true;
  }

  #checkOrigin(origin: string): boolean {
    if (origin.length > VALUE_LENGTH_MAX) return false;
    const lower = origin.toLowerCase();
    if (!this.#origins.has(lower)) {
      const shape = ORIGIN_SHAPE.exec(lower);
      if (shape === null) return false;
      const local = this.#loopback && LOOPBACK_NAMES.includes(shape[1] as string);
      if (!local && !this.#anyOrigin) return false;
    }
    this.#lastOrigin = origin;
    return true;
  }
}

/** `::1` → `[::1]`; anything else unchanged. */
function bracketed(name: string): string {
  return name.includes(':') && !name.startsWith('[') ? `[${name}]` : name;
}

function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '[::1]' || LOOPBACK_ADDRESS.test(name);
}
