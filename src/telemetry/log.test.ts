import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Secret } from '#kernel'
import { humanLine } from './human.ts'
import { createLog } from './log.ts'
import { isSecretName } from './redact.ts'

function logged(level: 'debug' | 'info', write: (log: ReturnType<typeof createLog>) => void): string[] {
  const lines: string[] = []
  write(createLog({ level, destination: { write: (line) => void lines.push(line) } }))
  return lines
}

describe('the log', () => {
  it('writes one JSON line an event', () => {
    const lines = logged('info', (log) => log.child({ room: 'http' }).info({ port: 80 }, 'listening'))

    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      room: 'http',
      port: 80,
      msg: 'listening',
    })
  })

  it('leaves out what is below its level', () => {
    expect(logged('info', (log) => log.debug({}, 'quiet'))).toEqual([])
  })

  it('appends to a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'log-'))
    const file = join(folder, 'deep', 'house.log')

    createLog({ level: 'info', destination: { file } }).info({}, 'first')
    createLog({ level: 'info', destination: { file } }).info({}, 'second')

    expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(2)
    rmSync(folder, { recursive: true })
  })

  it('blanks what is named like a secret at any depth, also in bindings, lists and errors', () => {
    const error = Object.assign(new Error('refused Bearer abcdefghijkl', { cause: new Error('inner') }), {
      headers: { authorization: 'LEAK' },
    })
    const lines = logged('info', (log) => {
      log
        .child({ token: 'LEAK' })
        .info({ a: [{ b: { 'X-API-Key': 'LEAK', set_cookie: ['LEAK'], secrets: { A: 'LEAK' } } }], error }, 'x')
      log.error({ err: error }, 'y')
      log.info({ secret: new Secret('LEAK'), text: 'Authorization: Basic TEFLQUxFQUs=' }, 'z')
    })

    expect(lines.join('')).not.toMatch(/LEAK|abcdefghijkl|TEFLQUxFQUs/)
    expect(lines.join('')).toContain('inner')
  })

  it('never writes a secret member, wherever it is', () => {
    const secretName = fc.constantFrom(
      'password',
      'clientSecret',
      'Set-Cookie',
      'access_token',
      'private-key',
      'apiKey',
    )
    const path = fc.array(fc.string({ minLength: 1, maxLength: 5 }), { maxLength: 6 })
    fc.assert(
      fc.property(path, secretName, (names, name) => {
        const fields = names.reduceRight<object>((inner, outer) => ({ [outer]: inner }), { [name]: 'LEAK' })

        expect(logged('info', (log) => log.info(fields)).join('')).not.toContain('LEAK')
      }),
    )
  })

  it('survives members that no JSON can hold', () => {
    const circular: Record<string, unknown> = { big: 1n, fn: () => 1, symbol: Symbol('s') }
    circular.self = circular

    expect(logged('info', (log) => log.info(circular, 'odd'))).toHaveLength(1)
  })

  it.each(['keyId', 'sessions', 'tokenCount', 'monkey', 'author', 'keyed', 'path'])('%s is no secret name', (name) => {
    expect(isSecretName(name)).toBe(false)
  })
})

describe('a line for people', () => {
  it('is short, and cannot move the cursor or forge another line', () => {
    const text = humanLine(
      JSON.stringify({
        level: 'warn',
        time: '2026-11-21T08:00:00.123Z',
        msg: 'a\nb\u001B[2J',
        server: 'ref',
        why: 'x\ry',
      }),
    )

    expect(stripVTControlCharacters(text)).toBe('08:00:00.123 WARN  a\\x0ab\\x1b[2J server=ref why="x\\ry"\n')
  })

  it('passes on what is no log line', () => {
    expect(humanLine('plain\n')).toBe('plain\n')
  })
})
