/** placeholder */
export function renderHtml(_a: unknown, _b: unknown): string {
  return '';
}
