/**
 * Starts a process of its own, which would live on alone: `npx` and shell wrappers do the same. The tool `echo` answers
 * with the grandchild's process id, so that a test can look whether it is gone. `--detached` puts it into a process
 * group of its own, out of reach of a kill of ours.
 */
import { spawn } from 'node:child_process'
import { answerPolitely, say, serveLines } from './line-server.ts'
import { option } from './options.ts'

const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 60_000)'], {
  stdio: 'ignore',
  detached: option('detached') !== undefined,
})

serveLines((message) => {
  if (message.method !== 'tools/call') return answerPolitely(message)
  say({ id: message.id, result: { content: [{ type: 'text', text: String(child.pid) }] } })
})
