import { describe, expect, test } from 'vitest'
import { stdioCommand } from '../../../../../test/fakes/stdio-programs.ts'
import { adminReasonOf } from '../../../servers/reason.ts'
import { deadline } from '../deadline.ts'
import { callTool, createStage, scriptedConfig, valueOf } from './testing/open-scripted.ts'
import { eventually } from './testing/open-scripted.ts'

describe('a link to a child process', () => {
  test('carries a request to the server and its answer back', async () => {
    await using stage = createStage()
    const link = await stage.open()

    const answer = await callTool(link, 'echo', { text: 'ä\n"' })

    expect(answer).toMatchObject({ isError: false })
    expect(await valueOf(Promise.resolve(answer))).toEqual({ given: { text: 'ä\n"' } })
  })

  test('tells an error of the tool from an error of the protocol', async () => {
    await using stage = createStage()
    const link = await stage.open()

    expect(await callTool(link, 'fail')).toMatchObject({ isError: true })
    expect(await callTool(link, 'error')).toEqual({ error: { code: -32602, message: 'no', data: { why: 'because' } } })
    await expect(callTool(link, 'broken')).rejects.toMatchObject({ kind: { code: 'tools/upstream-broken' } })
  })

  test('gives what the server asks and announces to the events, in batches too', async () => {
    await using stage = createStage()
    const link = await stage.open()

    await callTool(link, 'ask')
    await callTool(link, 'batch')

    expect(stage.messages).toEqual([
      { id: 'ask-1', method: 'roots/list', params: {} },
      { method: 'n', params: {} },
    ])
  })

  test('a start that a deadline ends tells admins, and nobody else, what the program printed instead', async () => {
    await using stage = createStage()
    const command = stdioCommand('garbage', '--then=hang')
    const link = await stage.open({ ...scriptedConfig(), command })
    await eventually(() => stage.log.lines.some(({ line }) => line === '{"not":"a message"}'))

    const signal = deadline('scripted', 50, 'start_timeout_ms')
    const failure: unknown = await link.request({ method: 'initialize', params: {}, signal }).catch((e: unknown) => e)

    const shown = 'server "scripted" did not answer within 0.05 s (start_timeout_ms)'
    expect(failure).toMatchObject({ kind: { code: 'tools/timed-out' }, message: shown })
    const told = adminReasonOf(failure)
    expect(told).toContain(`${shown}; it prints to stdout what is not MCP: `)
    expect(told).toContain('{"not":"a message"}')
  })

  test('answers out of order find their own requests', async () => {
    await using stage = createStage()
    const link = await stage.open()

    const order: string[] = []
    const late = callTool(link, 'late', { ms: 60 }).then(() => order.push('late'))
    const soon = callTool(link, 'echo').then(() => order.push('soon'))
    await Promise.all([late, soon])

    expect(order).toEqual(['soon', 'late'])
  })

  test('a doubled or invented answer is logged and harms nothing', async () => {
    await using stage = createStage()
    const link = await stage.open()

    expect(await valueOf(callTool(link, 'twice'))).toEqual({ first: true })
    expect(await valueOf(callTool(link, 'echo'))).toEqual({ given: {} })

    expect(stage.log.lines.filter((line) => line.message.startsWith('an answer to no open'))).toHaveLength(2)
  })

  test('an aborted request tells the server and rejects as cancelled', async () => {
    await using stage = createStage()
    const link = await stage.open()
    const abort = new AbortController()

    const call = callTool(link, 'never', {}, abort.signal)
    abort.abort()

    await expect(call).rejects.toMatchObject({ kind: { code: 'tools/cancelled' } })
    await eventually(() => stage.messages.length > 0)
    expect(stage.messages[0]).toMatchObject({ params: { requestId: 1 } })
  })

  test('initialize is never cancelled on the wire', async () => {
    await using stage = createStage()
    const link = await stage.open()
    const abort = new AbortController()

    const call = link.request({ method: 'initialize', params: {}, signal: abort.signal })
    abort.abort()

    await expect(call).rejects.toMatchObject({ kind: { code: 'tools/cancelled' } })
    await callTool(link, 'echo')
    expect(stage.messages).toEqual([])
  })

  test('a crash in mid-call rejects every waiting call with the reason', async () => {
    await using stage = createStage()
    const link = await stage.open()

    const waiting = Promise.allSettled([callTool(link, 'never'), callTool(link, 'crash')])

    expect(await link.closed).toBe('the process of server "scripted" exited with code 7')
    expect(
      (await waiting).map(
        (settled) => settled.status === 'rejected' && [String(settled.reason), adminReasonOf(settled.reason)],
      ),
    ).toEqual(
      Array.from({ length: 2 }, () => [
        'Problem: the process of server "scripted" exited with code 7',
        expect.stringMatching(/pid \d+\) exited with code 7; its last words: out of luck/),
      ]),
    )
    await expect(callTool(link, 'echo')).rejects.toThrow('exited with code 7')
  })

  test('an answer over the limit fails its own call and no other', async () => {
    await using stage = createStage()
    const link = await stage.open(scriptedConfig('plain', { max_result_bytes: 10_000 }))

    const large = callTool(link, 'large', { bytes: 30_000 })

    await expect(large).rejects.toMatchObject({ kind: { code: 'tools/too-large' } })
    expect(await valueOf(callTool(link, 'echo'))).toEqual({ given: {} })
  })

  test('a message without end costs the process its life', async () => {
    await using stage = createStage()
    const link = await stage.open(scriptedConfig('plain', { max_result_bytes: 10_000 }))

    const call = callTool(link, 'endless')

    await expect(call).rejects.toThrow('sent a message of more than 40000 bytes')
  })

  test('some noise on stdout is logged without secrets and passed over', async () => {
    await using stage = createStage()
    const link = await stage.open(scriptedConfig('plain', { env: { SECRET_KEY: 'sk-12345' } }))

    await callTool(link, 'noise', { lines: 500 })

    const noise = stage.log.lines.filter((line) => line.message === 'printed to stdout what is not MCP')
    expect(noise).toHaveLength(100)
    expect(noise[0]).toMatchObject({ line: 'log line 0 [secret]', server: 'scripted', link: 'k' })
  })

  test('a flood of noise ends the process with the reason', async () => {
    await using stage = createStage()
    const link = await stage.open()

    const call = callTool(link, 'noise', { lines: 5_000 })

    await expect(call).rejects.toThrow('printed 1001 lines to stdout without one MCP message')
  })

  test('stderr goes to the log, shortened and bounded', async () => {
    await using stage = createStage()
    const link = await stage.open()

    await callTool(link, 'complain', { lines: 300 })

    await eventually(() => stage.log.lines.filter((line) => line.message === 'stderr').length >= 100)
    const complaints = stage.log.lines.filter((line) => line.message === 'stderr')
    expect(complaints).toHaveLength(100)
    expect(String(complaints[0]?.['line'])).toMatch(/^complaint 0 y+… \(1012 characters\)$/)
  })

  test('a server that closes its stdout is given up', async () => {
    await using stage = createStage()
    const link = await stage.open()

    await expect(callTool(link, 'closeStdout')).rejects.toThrow('closed its stdout')
  })

  test('a server that does not read makes callers be refused, not the queue grow', async () => {
    await using stage = createStage({ patience: { stdinMs: 100, termMs: 1_000 } })
    const link = await stage.open()
    await callTool(link, 'stopReading')

    const text = 'z'.repeat(1_000_000)
    const calls = Array.from({ length: 20 }, () => callTool(link, 'echo', { text }).catch((error: unknown) => error))

    expect(await calls[19]).toMatchObject({ kind: { code: 'tools/overloaded' } })
    await link.close()
  })

  test('more waiting calls than max_concurrency are refused', async () => {
    await using stage = createStage()
    const link = await stage.open(scriptedConfig('plain', { max_concurrency: 2 }))
    const waiting = Promise.allSettled([callTool(link, 'never'), callTool(link, 'never')])

    await expect(callTool(link, 'echo')).rejects.toMatchObject({ kind: { code: 'tools/overloaded' } })
    await link.close()
    await waiting
  })

  test('the child sees its own environment and none of our secrets', async () => {
    const environment = { PATH: '/usr/bin', HOME: '/nowhere', LC_TIME: 'C', ADMIN_TOKEN: 'secret', NODE_OPTIONS: '' }
    await using stage = createStage({ environment })
    const link = await stage.open(scriptedConfig('plain', { env: { API_KEY: 'for-the-child' } }))

    const seen = await valueOf(callTool(link, 'environment'))

    expect(seen).toMatchObject({ HOME: '/nowhere', LC_TIME: 'C', API_KEY: 'for-the-child' })
    expect(Object.keys(seen).sort()).toEqual(['API_KEY', 'GATEHOUSE_PROCESS', 'HOME', 'LC_TIME', 'PATH'])
  })
  test('the child reaches the network as we do, without the password of a proxy', async () => {
    const network = { NODE_EXTRA_CA_CERTS: '/ca.pem', HTTPS_PROXY: 'http://proxy:8080', no_proxy: 'localhost' }
    const environment = { PATH: '/usr/bin', ...network, http_proxy: 'http://me:hunter2@proxy:8080' }
    await using stage = createStage({ environment })
    const link = await stage.open(scriptedConfig('plain'))

    const seen = await valueOf(callTool(link, 'environment'))

    expect(seen).toMatchObject(network)
    expect(seen).not.toHaveProperty('http_proxy')
  })
})
