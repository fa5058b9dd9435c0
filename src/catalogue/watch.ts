/**
 * Watches a tool folder and loads it again when something in it changes.
 *
 * Role: `--watch`. It reports new contents; whoever holds the catalogue swaps them in (`replace`), which drops neither
 * requests nor sessions. Events come in bursts, and an editor may write a file in steps, so a change is looked at only
 * after a short quiet time, and never two at once.
 * A tool for development: each reload leaves the earlier version of a module in memory.
 */
import { type FSWatcher, watch } from 'node:fs';
import type { FolderContents, ToolFolder } from './load.ts';

/** Quiet time after the last event. */
export const WATCH_QUIET_MS = 50;

export interface FolderWatch {
  /** Nothing is reported after this. */
  close(): void;
}

/**
 * `onChange` gets the whole contents after a change, problems included; `onError` what kept the folder from being read
 * or watched. The folder should have been loaded once before.
 */
export function watchFolder(
  folder: ToolFolder,
  onChange: (contents: FolderContents) => void,
  onError: (error: Error) => void,
): FolderWatch {
  return new Watch(folder, onChange, onError);
}

class Watch implements FolderWatch {
  readonly #folder: ToolFolder;
  readonly #onChange: (contents: FolderContents) => void;
  readonly #onError: (error: Error) => void;
  readonly #watcher: FSWatcher;
  #timer: NodeJS.Timeout | null = null;
  #loading = false;
  /** Something happened while a load was under way. */
  #stale = false;
  #closed = false;

  constructor(folder: ToolFolder, onChange: (contents: FolderContents) => void, onError: (error: Error) => void) {
    this.#folder = folder;
    this.#onChange = onChange;
    this.#onError = onError;
    this.#watcher = watch(folder.dir, () => this.#touched());
    this.#watcher.on('error', (error) => {
      if (!this.#closed) onError(error);
    });
    // What changed between the first load and now has no event.
    this.#touched();
  }

  close(): void {
    this.#closed = true;
    this.#watcher.close();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #touched(): void {
    if (this.#closed) return;
    if (this.#timer !== null) this.#timer.refresh();
    else this.#timer = setTimeout(() => this.#quiet(), WATCH_QUIET_MS);
  }

  #quiet(): void {
    this.#timer = null;
    if (this.#loading) {
      this.#stale = true;
      return;
    }
    this.#loading = true;
    this.#folder.load().then(
      (contents) => this.#loaded(contents),
      (error: Error) => this.#failed(error),
    );
  }

  #loaded(contents: FolderContents): void {
    this.#finished();
    if (contents.changed && !this.#closed) this.#onChange(contents);
  }

  #failed(error: Error): void {
    this.#finished();
    if (!this.#closed) this.#onError(error);
  }

  #finished(): void {
    this.#loading = false;
    if (!this.#stale) return;
    this.#stale = false;
    this.#touched();
  }
}
