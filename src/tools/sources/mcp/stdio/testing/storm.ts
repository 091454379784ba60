/** In a process of its own, so that what it counts is its own: a storm of calls, and what is left after it. */
import { readdirSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { callTool, createStage, scriptedConfig, valueOf } from './open-scripted.ts'
import { childrenOf } from './processes.ts'

const CALLS = 300
const config = scriptedConfig('plain', { max_processes: 4 })
const signal = new AbortController().signal

await storm(4) // what is loaded or opened once is not a leak
const before = count()
const storms = [await storm(CALLS), await storm(CALLS)]
await wait(100) // closed sockets leave the table of open files in a later turn
const after = count()
const leaked = {
  files: after.files - before.files,
  children: after.children,
  handles: Math.max(0, after.handles - before.handles),
}
process.stdout.write(`${JSON.stringify({ storms, leaked })}\n`)

async function storm(calls: number): Promise<object> {
  const stage = createStage()
  const links = await Promise.all(['a', 'b', 'c', 'd'].map((key) => stage.open(config, key)))
  const rightAnswers = Array.from({ length: calls }, async (_, n) => {
    const link = links[n % links.length]
    const { given } = link ? await valueOf(callTool(link, 'echo', { n }, signal)) : {}
    return JSON.stringify(given) === JSON.stringify({ n })
  })
  const right = (await Promise.all(rightAnswers)).filter(Boolean).length
  const during = { running: stage.supervisor.running().length, children: childrenOf(process.pid).length }
  await stage.supervisor.close()
  return { right, ...during }
}

type Count = { readonly files: number; readonly children: number; readonly handles: number }

function count(): Count {
  const files = readdirSync('/proc/self/fd').length
  return { files, children: childrenOf(process.pid).length, handles: process.getActiveResourcesInfo().length }
}
