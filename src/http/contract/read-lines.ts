const MAX_LINE = 4_194_304

/** The values of an NDJSON answer as they come. Ends with the answer or the signal; leaving the loop ends the answer. */
export async function* readLines<T>(
  response: Response,
  signal: AbortSignal,
  parse: (line: unknown) => T,
): AsyncGenerator<T> {
  const reader = (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream()).getReader()
  // Not left to fetch: a Request that was collected as garbage forgets its signal.
  const stop = (): void => void reader.cancel().catch(() => {})
  signal.addEventListener('abort', stop, { once: true })
  try {
    let rest = ''
    for (let read = await reader.read(); !read.done && !signal.aborted; read = await reader.read()) {
      const lines = (rest + read.value).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > MAX_LINE) throw new Error('a line of the answer is longer than 4 MiB')
      for (const line of lines) if (line !== '') yield parse(JSON.parse(line))
    }
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}
