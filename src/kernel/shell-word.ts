/** A text as a shell takes it for one word, whatever is in it: commands that we propose hold what others wrote. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
