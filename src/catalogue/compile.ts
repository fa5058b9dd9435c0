/**
 * The holder of the catalogue: takes definitions, compiles them, and swaps snapshots.
 *
 * Role: the one mutable thing about the catalogue. `replace`, `add` and `remove` either swap a whole new snapshot in or
 * throw and leave the current one; requests in flight keep the snapshot and the entries they began with.
 * Listeners hear which lists changed for clients, not that something was reloaded: a new handler behind the same
 * description changes no list.
 */
import type { SharedSecret } from '../protocol/shared-secret.ts';
import { Cursors } from './cursor.ts';
import { DefinitionError } from './definition-error.ts';
import { type CompiledDefinition, compileDefinition, type SourcedDefinition } from './entries.ts';
import type { Catalogue, CatalogueHolder, EntryKind, ListName } from './entry.ts';
import { refuseTooMany, Snapshot, type SnapshotSettings } from './snapshot.ts';

export const PAGE_SIZE_MAX = 10_000;
/** Listeners of one catalogue; more is a leak. */
export const LISTENERS_MAX = 64;

export interface CatalogueSettings extends SnapshotSettings {
  /** Shared by nodes that serve the same catalogue behind one balancer. */
  readonly secret: SharedSecret;
}

export interface MutableCatalogue extends CatalogueHolder {
  /** Serves these definitions and no others. Throws `DefinitionError` and changes nothing. */
  replace(definitions: readonly SourcedDefinition[]): void;
  /** Throws `DefinitionError` (also when one exists already) and changes nothing. */
  add(...definitions: readonly SourcedDefinition[]): void;
  /** False when there was none. `name` is the URI of a resource, the template of a template. */
  remove(kind: Exclude<EntryKind, 'completion'>, name: string): boolean;
}

/** An empty catalogue. */
export function createCatalogue(settings: CatalogueSettings): MutableCatalogue {
  return new Holder(settings);
}

class Holder implements MutableCatalogue {
  #current: Snapshot;
  readonly #settings: SnapshotSettings;
  readonly #cursors: Cursors;
  readonly #listeners = new Set<(changed: readonly ListName[]) => void>();

  constructor(settings: CatalogueSettings) {
    const { pageSize, secret } = settings;
    if (!Number.isInteger(pageSize) || pageSize < 1 || pageSize > PAGE_SIZE_MAX) {
      throw new DefinitionError(`pageSize must be a whole number from 1 to ${PAGE_SIZE_MAX}, got ${pageSize}`);
    }
    this.#settings = settings;
    this.#cursors = new Cursors(secret);
    this.#current = new Snapshot(1, [], settings, this.#cursors);
  }

  get current(): Catalogue {
    return this.#current;
  }

  onChange(listener: (changed: readonly ListName[]) => void): () => void {
    if (this.#listeners.size >= LISTENERS_MAX) throw new Error(`more than ${LISTENERS_MAX} listeners of one catalogue`);
    // A wrapper per call, so that a function that listens twice is also told twice, and stops once per stop.
    const own = (changed: readonly ListName[]): void => listener(changed);
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  replace(definitions: readonly SourcedDefinition[]): void {
    refuseTooMany(definitions.length);
    const known = new Map(this.#current.compiled.map((compiled) => [compiled.source.definition, compiled]));
    this.#swap(definitions.map((source) => unchanged(known, source) ?? compileDefinition(source)));
  }

  add(...definitions: readonly SourcedDefinition[]): void {
    refuseTooMany(this.#current.compiled.length + definitions.length);
    this.#swap([...this.#current.compiled, ...definitions.map(compileDefinition)]);
  }

  remove(kind: Exclude<EntryKind, 'completion'>, name: string): boolean {
    const rest = this.#current.compiled.filter(({ entry }) => entry.kind !== kind || entry.name !== name);
    if (rest.length === this.#current.compiled.length) return false;
    this.#swap(rest);
    return true;
  }

  #swap(compiled: readonly CompiledDefinition[]): void {
    const before = this.#current;
    const next = new Snapshot(before.epoch + 1, compiled, this.#settings, this.#cursors);
    const changed = next.listsChangedSince(before);
    this.#current = next;
    if (changed.length === 0) return;
    for (const listener of [...this.#listeners]) listener(changed);
  }
}

/** The same definition from the same place keeps its entry: its key, its statistics, its place in the workers. */
function unchanged(
  known: ReadonlyMap<object, CompiledDefinition>,
  source: SourcedDefinition,
): CompiledDefinition | undefined {
  const compiled = known.get(source.definition);
  if (compiled === undefined || compiled.source.remote !== source.remote) return undefined;
  const before = compiled.source.module;
  const after = source.module;
  const same =
    before === null || after === null
      ? before === after
      : before.url === after.url && before.exportName === after.exportName;
  return same ? compiled : undefined;
}
