/**
 * A well-behaved stdio server that keeps state per process: `increment` counts the calls of this process, `pid` tells
 * which process it is. Options: `--era=legacy|modern` (default both), `--log` writes a line to stderr per call.
 */
import { McpServer } from '@modelcontextprotocol/server'
import { serveStdio, StdioServerTransport } from '@modelcontextprotocol/server/stdio'
import { option } from './options.ts'

const build = () => {
  const mcp = new McpServer({ name: 'stdio-counter', version: '1.0.0' })
  const say = (text: string) => ({ content: [{ type: 'text' as const, text }] })
  mcp.registerTool('increment', { description: 'Adds one to the counter of this process.' }, () => {
    count += 1
    if (option('log') !== undefined) process.stderr.write(`counted to ${count}\n`)
    return say(String(count))
  })
  mcp.registerTool('pid', { description: 'Tells the process id.' }, () => say(String(process.pid)))
  mcp.registerTool('environment', { description: 'Tells the names of the environment variables.' }, () =>
    say(Object.keys(process.env).toSorted().join(' ')),
  )
  return mcp
}
let count = 0

if (option('era') === 'legacy') await build().connect(new StdioServerTransport())
else serveStdio(build, { legacy: option('era') === 'modern' ? 'reject' : 'serve' })
