/** A parent to be killed: opens links, lets their servers have children, prints all process ids, and then waits. */
import { callTool, createStage, scriptedConfig, valueOf } from './open-scripted.ts'

const stage = createStage()
const pids: unknown[] = []
for (const key of ['a', 'b']) {
  const link = await stage.open(scriptedConfig('stubborn'), key)
  const { pids: children } = await valueOf(callTool(link, 'children'))
  pids.push(...(Array.isArray(children) ? children : []))
}
pids.push(...stage.supervisor.running().map((running) => running.pid))
process.stdout.write(`${JSON.stringify(pids)}\n`)
if (process.argv[2] === 'leave') process.exit(0)
