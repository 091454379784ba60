import { createInterface } from 'node:readline'

export type LineMessage = {
  id?: string | number
  method?: string
  params?: { name?: string; arguments?: { text?: string } }
}

/** The least of a legacy stdio server, by hand: reads a line, gives it to `answer`, and ends when stdin ends. */
export function serveLines(answer: (message: LineMessage) => void): void {
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => {
    const message: LineMessage = JSON.parse(line)
    answer(message)
  })
  lines.on('close', () => process.exit(0))
}

/** Writes one message as a line. */
export function say(message: object): void {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
}

/** The answers of a plain server with the tool `echo`. Modern methods are refused, as an old server would. */
export function answerPolitely({ id, method, params }: LineMessage): void {
  if (id === undefined) return
  switch (method ?? '') {
    case 'initialize':
      return say({
        id,
        result: {
          protocolVersion: '2025-06-18',
          capabilities: { tools: {} },
          serverInfo: { name: 'line-server', version: '1.0.0' },
        },
      })
    case 'ping':
      return say({ id, result: {} })
    case 'tools/list':
      return say({ id, result: { tools: [echoTool] } })
    case 'tools/call':
      return say({ id, result: { content: [{ type: 'text', text: params?.arguments?.text ?? '' }] } })
    default:
      say({ id, error: { code: -32601, message: 'Method not found' } })
  }
}

const echoTool = {
  name: 'echo',
  description: 'Echoes a text.',
  inputSchema: { type: 'object', properties: { text: { type: 'string' } } },
}
