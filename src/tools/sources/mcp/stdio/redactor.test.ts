import { expect, test } from 'vitest'
import { adminReasonOf } from '../../../servers/reason.ts'
import { createRedactor } from './redactor.ts'
import { createStage, eventually, scriptedConfig } from './testing/open-scripted.ts'

const SECRET = 'corr3ct horse+battery/staple'
const PASSWORD = 'p%40ss/w0rd'
const KEY_LINES = Array.from({ length: 12 }, (_, n) => `MIIEvQIBADANBgkqhkiG9w0BAQEFAASC${'abcdefghijkl'.charAt(n)}`)
const env = {
  SECRET_KEY: SECRET,
  DATABASE_URL: `postgres://me:${encodeURIComponent(PASSWORD)}@db/x`,
  PIN_TOKEN: '4711',
  LEVEL: 'info',
}

/** Prints whatever it was given, in every way that programs do, and dies. */
const PROGRAM = `
  const { SECRET_KEY, DATABASE_URL } = process.env
  const half = SECRET_KEY.length / 2
  const say = (text) => require('node:fs').writeSync(2, text)
  say('level info, plain ' + SECRET_KEY + '\\n')
  say('split ' + SECRET_KEY.slice(0, half))
  setTimeout(() => {
    say(SECRET_KEY.slice(half) + ' end\\n')
    say('basic ' + btoa('user:' + SECRET_KEY) + ' ' + btoa('u:' + SECRET_KEY) + ' ' + btoa(SECRET_KEY) + '\\n')
    say('url ?key=' + encodeURIComponent(SECRET_KEY) + '&json=' + JSON.stringify(SECRET_KEY) + '\\n')
    say('database ' + decodeURIComponent(new URL(DATABASE_URL).password) + ' pin 4711\\n')
    say('unknown gh' + 'p_${'a1B2'.repeat(9)} Authorization: Bearer abcdefgh12345\\n')
    say('-----BEGIN PRIVATE KEY-----\\n${KEY_LINES.join('\\n')}\\n-----END PRIVATE KEY-----\\nafter the key\\n')
    say('x'.repeat(230) + ' ' + SECRET_KEY + 'y'.repeat(20000) + '\\n')
    process.stdout.write('stdout ' + SECRET_KEY + '\\n', () => {
      say('fatal error: refused ' + SECRET_KEY + '\\n')
      process.exit(3)
    })
  }, 50)
`

test('a program that prints its secrets leaves nothing of them in the log or in its last words', async () => {
  await using stage = createStage()
  const config = { ...scriptedConfig('plain', { env }), command: [process.execPath, '-e', PROGRAM] }
  const link = await stage.open(config)

  const request = link.request({ method: 'initialize', params: {}, signal: new AbortController().signal })
  const failure: unknown = await request.catch((error: unknown) => error)
  await eventually(() => stage.log.lines.some(({ message }) => message === 'ended'))
  const told = `${JSON.stringify(stage.log.lines)}\n${adminReasonOf(failure)}`

  const base64 = [0, 1, 2].map((pad) =>
    Buffer.from(`${'-'.repeat(pad)}${SECRET}`)
      .toString('base64')
      .slice(4, -4),
  )
  const spellings = [SECRET, SECRET.slice(0, 14), SECRET.slice(14), encodeURIComponent(SECRET), ...base64]
  const others = [PASSWORD, '4711', 'ghp_', 'abcdefgh12345', ...KEY_LINES]
  expect([...spellings, ...others].filter((secret) => told.includes(secret))).toEqual([])
  expect(told).toContain('level info, plain [secret]')
  expect(told).toContain('split [secret] end')
  expect(told).toContain('after the key')
  expect(told).toContain('(20259 bytes)')
  expect(told).toContain('its last words: fatal error: refused [secret]')
})

test.each([
  ['an argument with a secret', ['x', '--api-key=abcdef123456'], 'used abcdef123456', 'used [secret]'],
  ['an address with a password', ['x', 'https://me:hunter2@h/p'], 'no hunter2', 'no [secret]'],
  ['an ordinary argument', ['x', '--port=808080'], 'listens on 808080', 'listens on 808080'],
])('%s', (_what, command, line, shown) => {
  expect(createRedactor({ env: {}, command })(line)).toBe(shown)
})

test('what is cut off keeps no beginning of a secret', () => {
  const redact = createRedactor({ env: { A_KEY: 'one two three' }, command: ['x'] })

  expect(redact('before one tw', { cut: true })).not.toMatch(/one/)
})
