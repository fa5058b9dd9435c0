/**
 * Types of fields as numbers, for columns and generated programs.
 *
 * Role: a `switch` on a small integer is what every value of every event goes through. The numbers are indexes into
 * `FIELD_TYPES`; they are not stored anywhere.
 */
import type { FieldType } from '../define/definition.ts';

export const FIELD_TYPES: readonly FieldType[] = ['number', 'integer', 'string', 'boolean'];
export const NUMBER = 0;
export const INTEGER = 1;
export const STRING = 2;
export const BOOLEAN = 3;
