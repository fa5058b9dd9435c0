/**
 * Finds a native build of uWebSockets.js that loads here.
 *
 * Role: the only place that names the packages. Two registry builds are tried in order; both are optional dependencies,
 * so each may be missing, or built for another platform, Node.js version or C library.
 * Invariant: nothing but native code is accepted. The second package answers a failed load with an implementation in
 * JavaScript, and says so on the console; so its binary is loaded directly, and the result is checked.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { NativeModule } from './native.ts';

export interface LoadedNative {
  readonly native: NativeModule;
  /** Package and version. */
  readonly description: string;
}

/** Why no build loaded: one line per package tried. */
export interface LoadRefusal {
  readonly reasons: readonly string[];
}

/** What can go wrong is in here, so that a test can stand in for packages that are not installed. */
export type Require = ((id: string) => unknown) & { resolve(id: string): string };

const HEADER_BYTES_MAX = 16_384;
const REQUEST_LINE_BYTES_MAX = 8_192;

const FIRST = 'uWebSockets.js';
const SECOND = '@trufflesuite/uws-js-unofficial';

/** `headerBytesMax`: of one request, line and all. The first load of a process decides. */
export function loadNative(
  headerBytesMax = HEADER_BYTES_MAX,
  require: Require = createRequire(import.meta.url),
): LoadedNative | LoadRefusal {
  // Read by the native module when it is loaded: without it, later builds refuse what is longer than 4 KiB.
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] ??= String(headerBytesMax + REQUEST_LINE_BYTES_MAX);
  const reasons: string[] = [];
  for (const attempt of [loadFirst, loadSecond]) {
    const found = attempt(require);
    if (typeof found !== 'string') return found;
    reasons.push(found);
  }
  return { reasons };
}

function loadFirst(require: Require): LoadedNative | string {
  try {
    const loaded = require(FIRST);
    return accept(loaded, FIRST, readVersion(require, dirname(require.resolve(FIRST))));
  } catch (cause) {
    return `${FIRST}: ${lastLine(cause)}`;
  }
}

function loadSecond(require: Require): LoadedNative | string {
  try {
    const folder = dirname(require.resolve(`${SECOND}/package.json`));
    const binary = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`;
    const loaded = require(join(folder, 'binaries', binary));
    return accept(loaded, SECOND, readVersion(require, folder));
  } catch (cause) {
    return `${SECOND}: ${lastLine(cause)}`;
  }
}

function accept(loaded: unknown, name: string, version: string): LoadedNative | string {
  if (!isNative(loaded)) return `${name}: not a native module`;
  return { native: loaded, description: `${name} ${version}` };
}

function isNative(loaded: unknown): loaded is NativeModule {
  if (typeof loaded !== 'object' || loaded === null || !('App' in loaded)) return false;
  return typeof loaded.App === 'function' && Function.prototype.toString.call(loaded.App).includes('[native code]');
}

/** By path: the first package's exports hide its package.json. */
function readVersion(require: Require, folder: string): string {
  const manifest = require(join(folder, 'package.json'));
  if (typeof manifest !== 'object' || manifest === null || !('version' in manifest)) return 'of unknown version';
  return String(manifest.version);
}

/** The loader puts the reason last; what stands before repeats which platforms there are. */
function lastLine(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  const lines = text
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('Require stack') && !line.startsWith('- '));
  return lines.at(-1) ?? 'failed to load';
}
