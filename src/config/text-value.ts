/**
 * Text of a flag or an environment variable as the value its option holds.
 *
 * Only the form is looked at here; whether the value is allowed is the schema's business. `null` means that the text
 * has not the option's form at all; the caller then reports the text itself.
 */
import type { OptionForm } from './option.ts';

const NUMBER = /^[+-]?\d+(\.\d+)?$/;
const YES = new Set(['true', '1', 'yes', 'on']);
const NO = new Set(['false', '0', 'no', 'off']);

export function valueOfText(form: OptionForm, text: string): { readonly value: unknown } | null {
  switch (form) {
    case 'text':
      return { value: text };
    case 'number':
      return NUMBER.test(text) ? { value: Number(text) } : null;
    case 'number-or-auto':
      return { value: NUMBER.test(text) ? Number(text) : text };
    case 'boolean':
      if (YES.has(text.toLowerCase())) return { value: true };
      return NO.has(text.toLowerCase()) ? { value: false } : null;
    case 'list':
      return {
        value: text
          .split(',')
          .map((item) => item.trim())
          .filter((item) => item !== ''),
      };
    case 'json':
      return jsonValue(text);
  }
}

function jsonValue(text: string): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
