/**
 * The few pieces of SVG the report's charts are made of: scales, axes, lines, escaped text.
 *
 * Role: charts without a library, so that the page is one file that opens anywhere. Colours come from the page's style
 * sheet by class, so charts follow its light and dark form.
 */

/** How many series the page has a form for: colours with dashes. More begin again. */
export const STYLES = 42;

export const styleOf = (series: number): number => series % STYLES;

export type Scale = (value: number) => number;

export interface Tick {
  readonly at: number;
  readonly label: string;
}

export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export function linear(fromMin: number, fromMax: number, toMin: number, toMax: number): Scale {
  const span = fromMax - fromMin;
  return (value) => toMin + (span === 0 ? 0 : (value - fromMin) / span) * (toMax - toMin);
}

/** Values must be above 0. */
export function logarithmic(fromMin: number, fromMax: number, toMin: number, toMax: number): Scale {
  const inner = linear(Math.log10(fromMin), Math.log10(fromMax), toMin, toMax);
  return (value) => inner(Math.log10(value));
}

/** Powers of ten that enclose the values; one decade at least. */
export function decades(values: readonly number[]): { readonly least: number; readonly most: number } {
  const usable = values.filter((value) => value > 0 && Number.isFinite(value));
  if (usable.length === 0) return { least: 1, most: 10 };
  const least = 10 ** Math.floor(Math.log10(Math.min(...usable)));
  const most = 10 ** Math.ceil(Math.log10(Math.max(...usable)));
  return { least, most: most === least ? least * 10 : most };
}

export function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

export function svg(frame: Frame, label: string, content: string): string {
  const { height, width } = frame;
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeText(label)}">${content}</svg>`;
}

export function axes(frame: Frame, xs: readonly Tick[], ys: readonly Tick[]): string {
  const bottom = frame.height - frame.bottom;
  const right = frame.width - frame.right;
  const vertical = xs.map(
    ({ at, label }) =>
      `<line class="grid" x1="${px(at)}" x2="${px(at)}" y1="${frame.top}" y2="${bottom}"/>` +
      `<text class="tick" x="${px(at)}" y="${bottom + 16}" text-anchor="middle">${escapeText(label)}</text>`,
  );
  const horizontal = ys.map(
    ({ at, label }) =>
      `<line class="grid" x1="${frame.left}" x2="${right}" y1="${px(at)}" y2="${px(at)}"/>` +
      `<text class="tick" x="${frame.left - 6}" y="${px(at + 4)}" text-anchor="end">${escapeText(label)}</text>`,
  );
  return [...vertical, ...horizontal].join('');
}

/** `series` picks the colour; `title` is what the browser shows under the pointer. */
export function line(points: readonly (readonly [x: number, y: number])[], series: number, title: string): string {
  if (points.length === 0) return '';
  const path = points.map(([x, y]) => `${px(x)},${px(y)}`).join(' ');
  return `<polyline class="line s${styleOf(series)}" points="${path}"><title>${escapeText(title)}</title></polyline>`;
}

/** Two decimals are less than any screen shows. */
export function px(value: number): string {
  return String(Math.round(value * 100) / 100);
}
