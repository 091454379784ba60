/** Rows under their headings in aligned columns. The last column is cut where the line would be wider than `width`. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[], width?: number): string {
  const all = [headings.map((heading) => heading.toUpperCase()), ...rows.map((row) => row.map(plain))]
  const widths = headings.map((_, at) => Math.max(...all.map((row) => row[at]?.length ?? 0)))
  return all.map((row) => `${cut(alignRow(row, widths), width)}\n`).join('')
}

function alignRow(row: readonly string[], widths: readonly number[]): string {
  return row
    .map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0)))
    .join('  ')
    .trimEnd()
}

function cut(line: string, width: number | undefined): string {
  return width !== undefined && width > 20 && line.length > width ? `${line.slice(0, width - 1)}…` : line
}

/** On one line, and without characters that would steer the terminal: cells hold what others wrote. */
export function plain(text: string): string {
  return safe(text).replaceAll(/\s+/g, ' ').trim()
}

/** Without characters that would steer the terminal; lines and tabs stay. */
export function safe(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are exactly what is looked for
  return text.replaceAll(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g, '')
}

/** Names and values, one a line. */
export function list(pairs: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${plain(value)}\n`).join('')
}
