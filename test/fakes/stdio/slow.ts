/** Takes its time: `--start-ms` before it reads anything (default 0), `--call-ms` in every call (default 1000). */
import { setTimeout as delay } from 'node:timers/promises'
import { numberOption } from './options.ts'
import { answerPolitely, serveLines } from './line-server.ts'

await delay(numberOption('start-ms', 0))
serveLines((message) => {
  const ms = message.method === 'tools/call' ? numberOption('call-ms', 1000) : 0
  setTimeout(() => answerPolitely(message), ms)
})
