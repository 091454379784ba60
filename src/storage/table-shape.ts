import type { TableShape } from './engine.ts'

/** Puts a list of columns, sorted by table, together. */
export function toTableShapes(columns: readonly { table: string; column: string }[]): TableShape[] {
  const shapes = new Map<string, string[]>()
  for (const { table, column } of columns) shapes.set(table, [...(shapes.get(table) ?? []), column])
  return [...shapes].map(([table, names]) => ({ table, columns: names }))
}
