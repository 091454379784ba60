/**
 * Never answers `initialize`. With `--stubborn` it also ignores the end of stdin and SIGTERM, so that only SIGKILL
 * ends it: nothing of it may be left behind all the same.
 */
import { option } from './options.ts'

process.stdin.resume()
if (option('stubborn') !== undefined) {
  process.on('SIGTERM', () => process.stderr.write('SIGTERM ignored\n'))
  process.on('SIGINT', () => undefined)
  setInterval(() => undefined, 60_000)
  process.stderr.write('ready\n')
} else {
  process.stdin.on('end', () => process.exit(0))
}
