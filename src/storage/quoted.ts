/** A name inside SQL text, as both engines want it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
