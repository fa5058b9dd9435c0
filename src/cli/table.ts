/**
 * A table as commands print one: a line of heads, then rows, each column as wide as its widest cell.
 *
 * Cells are printed as they are: the caller has removed control characters.
 */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, column) =>
    rows.reduce((widest, row) => Math.max(widest, row[column]?.length ?? 0), head.length),
  );
  const lines = [heads, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}
