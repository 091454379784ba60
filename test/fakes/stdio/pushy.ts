/**
 * Asks the client's model in every call, whether the client said that it has one or not. Told no, the tool `insist`
 * fails and the tool `manage` does without.
 */
import { say, serveLines } from './line-server.ts'

const waiting = new Map<string, { id: string | number; tool: string | undefined }>()

serveLines((message) => {
  const { id, method } = message
  if (id === undefined) return
  if (method === undefined) return goOn(String(id), 'error' in message)
  switch (method) {
    case 'initialize':
      return say({ id, result: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo } })
    case 'tools/list':
      return say({
        id,
        result: { tools: ['insist', 'manage'].map((name) => ({ name, inputSchema: { type: 'object' } })) },
      })
    case 'tools/call': {
      const ask = `ask-${id}`
      waiting.set(ask, { id, tool: message.params?.name })
      const messages = [{ role: 'user', content: { type: 'text', text: 'Say yes' } }]
      return say({ id: ask, method: 'sampling/createMessage', params: { messages, maxTokens: 10 } })
    }
    default:
      say({ id, error: { code: -32601, message: 'Method not found' } })
  }
})

function goOn(ask: string, isRefused: boolean): void {
  const call = waiting.get(ask)
  if (call === undefined) return
  const isError = isRefused && call.tool === 'insist'
  const text = isRefused ? 'nobody to ask' : 'asked'
  say({ id: call.id, result: { content: [{ type: 'text', text }], isError } })
}

const serverInfo = { name: 'pushy', version: '1.0.0' }
