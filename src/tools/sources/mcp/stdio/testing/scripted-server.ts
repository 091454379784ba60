/**
 * A small MCP-like server whose behaviour is chosen by its tools: what a real one does well or badly, on demand.
 * `node scripted-server.ts [mode]`: `exit` ends at once, `mute` answers nothing, `stubborn` ignores stdin and SIGTERM.
 */
import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { createInterface } from 'node:readline'

const mode = process.argv[2] ?? 'plain'
const reply = (id: unknown, result: object): void => say({ result, jsonrpc: '2.0', id })
const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`)

if (mode === 'exit') {
  process.stderr.write(`cannot start: no licence, key is ${process.env['SECRET_KEY']}\n`)
  process.exitCode = 3
} else {
  if (mode === 'stubborn') process.on('SIGTERM', () => {})
  if (mode === 'stubborn') setInterval(() => {}, 1000)
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => mode !== 'mute' && answer(JSON.parse(line)))
}

type Message = { id?: number; method: string; params: { name?: string; arguments?: Record<string, unknown> } }

function answer({ id, method, params }: Message): void {
  if (method === 'notifications/cancelled') return say({ jsonrpc: '2.0', method: 'notifications/message', params })
  if (id === undefined) return
  if (method !== 'tools/call') return reply(id, { method })
  const { name = '', arguments: given = {} } = params
  tools[name]?.(id, given)
}

const tools: Record<string, (id: number, given: Record<string, unknown>) => void> = {
  echo: (id, given) => reply(id, { given }),
  fail: (id) => reply(id, { isError: true, content: [] }),
  error: (id) => say({ jsonrpc: '2.0', id, error: { code: -32602, message: 'no', data: { why: 'because' } } }),
  broken: (id) => say({ jsonrpc: '2.0', id, result: 'text' }),
  never: () => {},
  late: (id, given) => void setTimeout(() => reply(id, {}), Number(given['ms'])),
  environment: (id) => reply(id, { ...process.env }),
  twice: (id) => (reply(id, { first: true }), reply(id, { second: true }), reply(9_999_999, {})),
  ask: (id) => (say({ jsonrpc: '2.0', id: 'ask-1', method: 'roots/list' }), reply(id, {})),
  large: (id, given) => reply(id, { text: 'x'.repeat(Number(given['bytes'])) }),
  endless: (_id) => void process.stdout.write('x'.repeat(10_000_000)),
  batch: (id) => process.stdout.write(`[{"jsonrpc":"2.0","method":"n"},{"jsonrpc":"2.0","id":${id},"result":{}}]\r\n`),
  noise: (id, given) => {
    for (let n = 0; n < Number(given['lines']); n++)
      process.stdout.write(`log line ${n} ${process.env['SECRET_KEY']}\n`)
    reply(id, {})
  },
  complain: (id, given) => {
    for (let n = 0; n < Number(given['lines']); n++) process.stderr.write(`complaint ${n} ${'y'.repeat(1000)}\n`)
    reply(id, {})
  },
  crash: () => (process.stderr.write('out of luck\n'), process.exit(7)),
  closeStdout: () => closeSync(1),
  stopReading: (id) => (reply(id, {}), process.stdin.pause()),
  // One in our group, one in a session of its own, both deaf to SIGTERM.
  children: (id) => {
    const sleepFor = ['-c', "trap '' TERM HUP; while :; do sleep 1; done"]
    const near = spawn('/bin/sh', sleepFor, { stdio: 'ignore' })
    const far = spawn('/bin/sh', sleepFor, { stdio: 'ignore', detached: true })
    reply(id, { pids: [near.pid, far.pid] })
  },
}
