const MAX_LINE = 4_194_304

/** The values of an NDJSON answer as they come. Ends with the answer; leaving the loop ends the answer. */
export async function* readLines<T>(response: Response, parse: (line: unknown) => T): AsyncGenerator<T> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of response.body ?? []) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > MAX_LINE) throw new Error('a line of the answer is longer than 4 MiB')
    for (const line of lines) if (line !== '') yield parse(JSON.parse(line))
  }
}
