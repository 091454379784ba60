/**
 * JSON as editors keep it (comments, commas before a closing bracket) as plain JSON. Text inside strings stays as it
 * is, and everything keeps its line.
 */
export function withoutComments(text: string): string {
  // A string, a comment of either kind, or a comma that nothing follows but blanks, comments and a closing bracket.
  const parts = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\/|,(?=(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*[}\]])/g
  return text.replaceAll(parts, (part) => (part.startsWith('"') ? part : part.replaceAll(/[^\n]/g, ' ')))
}
