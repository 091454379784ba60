/**
 * Writes garbage to stdout before it says anything sensible: log lines, half a message, binary. Then it works
 * (`--then=work`, the default), never answers (`--then=hang`), or writes one line without an end (`--then=flood`).
 */
import { option } from './options.ts'
import { answerPolitely, serveLines } from './line-server.ts'

process.stdout.write('Starting up...\n{"jsonrpc":"2.0","id":\n')
process.stdout.write(Buffer.from([0, 255, 254, 10]))
process.stdout.write('{"not":"a message"}\n')

if (option('then') === 'flood') flood()
else serveLines((message) => (option('then') === 'hang' ? undefined : answerPolitely(message)))

function flood(): void {
  const chunk = 'x'.repeat(64 * 1024)
  const pump = () => {
    while (process.stdout.write(chunk)) continue
  }
  process.stdout.on('drain', pump)
  process.stdout.on('error', () => process.exit(0))
  pump()
}
