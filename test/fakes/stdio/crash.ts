/**
 * Dies after so many calls: `--after=2` answers two and exits with code 3 in the third, before it answers. `--after=0`
 * dies in the first call, `--at-start` before the handshake. `--by=signal` kills itself instead.
 */
import { numberOption, option } from './options.ts'
import { answerPolitely, serveLines } from './line-server.ts'

let callsLeft = numberOption('after', 2)
if (option('at-start') !== undefined) die()

serveLines((message) => {
  if (message.method === 'tools/call') {
    if (callsLeft === 0) return die()
    callsLeft -= 1
  }
  answerPolitely(message)
})

function die(): void {
  process.stderr.write('crashing on purpose\n')
  if (option('by') === 'signal') process.kill(process.pid, 'SIGKILL')
  process.exit(3)
}
