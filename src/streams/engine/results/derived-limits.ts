/**
 * What an engine keeps of events that were made of results.
 *
 * Role: by itself, so that the memory budget (`config/memory-budget.ts`) counts it without loading the engine.
 */
export const DERIVED_BYTES_MAX = 16 * 1024 * 1024;
