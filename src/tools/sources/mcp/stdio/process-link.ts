import type { Writable } from 'node:stream'
import { Problem, type Clock } from '#kernel'
import type { Log } from '#telemetry'
import type { StdioServerConfig } from '../../../config.ts'
import { OVERLOADED, UNREACHABLE } from '../../../problems.ts'
import { AdminDetail } from '../../../servers/reason.ts'
import { withIdentity } from '../identity.ts'
import type { Link, LinkEvents, LinkRequest, LinkResponse } from '../link.ts'
import { Conversation, type Receipt } from './conversation.ts'
import { LineCutter, type Line } from './lines.ts'
import { findResponseId, readLine, type Incoming } from './messages.ts'
import { createPrintedLines, type PrintedLines } from './printed-lines.ts'
import { createRedactor } from './redactor.ts'
import type { ServerProcess } from './server-process.ts'

export type ProcessLinkDeps = {
  readonly config: StdioServerConfig
  readonly process: ServerProcess
  readonly events: LinkEvents
  readonly log: Log
  readonly clock: Clock
  /** Told once, when the link is dead. */
  onEnd(end: LinkEnd): void
  /** Told once, when nothing of the process is left. */
  onGone(): void
}

/** Why and how a link ended. `lastWords` go on after the reason, which holds them where the link ended by itself. */
export type LinkEnd = {
  /** We closed it. */
  readonly asked: boolean
  /** It had sent at least one valid message. */
  readonly spoke: boolean
  readonly reason: string
  readonly lastWords: string
}

const ENVELOPE_BYTES = 4096
const MAX_QUEUED_BYTES = 8 * 1024 * 1024
const MAX_STDERR_LINE = 8 * 1024
const MAX_NOISE_LINES = 1_000
const MAX_UNENDED_LINES = 4
const SILENT_END_MS = 500

/** A child process as a link: newline-delimited JSON-RPC, with a limit on everything the child can send. */
export class ProcessLink implements Link {
  readonly closed: Promise<string>
  readonly #deps: ProcessLinkDeps
  readonly #conversation: Conversation
  readonly #stdout: LineCutter
  readonly #stderr = new LineCutter(() => MAX_STDERR_LINE)
  readonly #noise: PrintedLines
  readonly #errors: PrintedLines
  readonly #resolveClosed: (reason: string) => void
  #gone: Promise<void> | undefined
  #noiseLines = 0
  #noiseBytes = 0
  #isEnded = false
  #spoke = false

  constructor(deps: ProcessLinkDeps) {
    const { config, process } = deps
    const { promise, resolve } = Promise.withResolvers<string>()
    this.#deps = deps
    this.closed = promise
    this.#resolveClosed = resolve
    this.#stdout = new LineCutter(() => this.#maxBytes + ENVELOPE_BYTES)
    this.#noise = this.#printed('printed to stdout what is not MCP')
    this.#errors = this.#printed('stderr')
    this.#conversation = new Conversation({
      server: config.name,
      maxPending: config.max_concurrency,
      lastWords: () => this.#lastWords(),
      write: (message) => writeMessage(process.stdin, message, config.name),
    })
    this.#listen()
  }

  request(request: LinkRequest): Promise<LinkResponse> {
    return this.#conversation.request({ ...request, params: withIdentity(request.params, request.identity) })
  }

  async send(message: Parameters<Link['send']>[0]): Promise<void> {
    this.#conversation.send(message)
  }

  async close(): Promise<void> {
    this.#end({ asked: true, how: 'was stopped by the gateway' })
    await this.#gone
  }

  get #maxBytes(): number {
    return Math.min(this.#deps.config.max_result_bytes, this.#conversation.maxBytes)
  }

  #listen(): void {
    const { stdout, stderr, exited } = this.#deps.process
    stdout.on('data', (chunk: Buffer) => this.#read(chunk))
    stdout.on('end', () => this.#readEnd())
    stderr.on('data', (chunk: Buffer) => this.#readErrors(this.#stderr.push(chunk)))
    stderr.on('end', () => this.#readErrors(this.#stderr.end()))
    void exited.then((how) => this.#end({ asked: false, how }))
  }

  #read(chunk: Buffer): void {
    for (const line of this.#stdout.push(chunk)) {
      if (this.#isEnded) return
      this.#take(line)
    }
    const maxUnended = this.#maxBytes * MAX_UNENDED_LINES
    if (this.#stdout.openBytes > maxUnended) this.#giveUp(`sent a message of more than ${maxUnended} bytes`)
  }

  /** A server that closes its stdout can answer nothing any more; mostly it is about to exit. */
  #readEnd(): void {
    for (const line of this.#stdout.end()) if (!this.#isEnded) this.#take(line)
    setTimeout(() => this.#giveUp('closed its stdout'), SILENT_END_MS).unref()
  }

  #take(line: Line): void {
    if (line.kind === 'too-long') return this.#takeTooLong(line)
    for (const incoming of readLine(line.bytes)) this.#deliver(incoming, line.bytes)
  }

  #deliver(incoming: Incoming, line: Buffer): void {
    if (incoming.kind === 'noise') return this.#takeNoise(line)
    this.#spoke = true
    this.#noiseLines = 0
    this.#noiseBytes = 0
    if (incoming.kind === 'message') this.#deps.events.message(incoming.message)
    else this.#receipt(this.#conversation.answer(incoming), incoming.id)
  }

  #takeTooLong(line: Extract<Line, { kind: 'too-long' }>): void {
    const id = findResponseId(line)
    if (id === undefined) return this.#giveUp(`sent a message of ${line.length} bytes, more than max_result_bytes`)
    const sizes = { bytes: line.length, maxBytes: this.#maxBytes }
    this.#receipt(this.#conversation.answerTooLarge(id, sizes), id)
  }

  /** Mostly a library that logs to stdout: said in the log and passed over, but not for ever. */
  #takeNoise(line: Buffer): void {
    this.#noiseLines += 1
    this.#noiseBytes += line.length
    this.#noise.print(line.subarray(0, MAX_STDERR_LINE), line.length)
    const tooMuch = this.#noiseLines > MAX_NOISE_LINES || this.#noiseBytes > this.#deps.config.max_result_bytes
    if (tooMuch) this.#giveUp(`printed ${this.#noiseLines} lines to stdout without one MCP message between them`)
  }

  #receipt(receipt: Receipt, id: number): void {
    if (receipt === 'stray') this.#deps.log.debug({ id }, 'an answer to no open request: late, doubled or invented')
  }

  #readErrors(lines: Iterable<Line>): void {
    for (const line of lines) {
      if (line.kind === 'line') this.#errors.print(line.bytes)
      else this.#errors.print(line.head, line.length)
    }
  }

  /** Gives the process up for what it did. It is not listened to any more. */
  #giveUp(how: string): void {
    if (this.#isEnded) return
    this.#deps.process.stdout.destroy()
    this.#end({ asked: false, how })
  }

  #end({ asked, how }: { asked: boolean; how: string }): void {
    if (this.#isEnded) return
    this.#isEnded = true
    const reason = this.#inWords({ asked, how })
    const lastWords = this.#lastWords()
    const shown = `the process of server "${this.#deps.config.name}" ${how}`
    this.#conversation.end(new Problem(UNREACHABLE, shown, { cause: new AdminDetail(reason) }))
    this.#resolveClosed(shown)
    this.#deps.onEnd({ asked, spoke: this.#spoke, reason, lastWords })
    this.#gone = this.#deps.process.stop().then(() => this.#deps.onGone())
  }

  /** For admins and the log: users of a server hear neither its command nor what it printed. */
  #inWords({ asked, how }: { asked: boolean; how: string }): string {
    const { config, process } = this.#deps
    const what = `the process of server "${config.name}" (${config.command[0] ?? ''}, pid ${process.pid}) ${how}`
    return asked ? what : `${what}${this.#lastWords()}`
  }

  /** Goes on after the reason: what it wrote to stderr, or to stdout where it never spoke MCP. */
  #lastWords(): string {
    const tail = this.#errors.tail()
    const noise = this.#spoke ? '' : this.#noise.tail()
    if (tail !== '') return `; its last words: ${tail}`
    return noise === '' ? '' : `; it prints to stdout what is not MCP: ${noise}`
  }

  #printed(event: string): PrintedLines {
    const { clock, config, log } = this.#deps
    return createPrintedLines({
      clock,
      redact: createRedactor(config),
      write: (line, leftOut) => log.info({ line, ...(leftOut > 0 && { leftOut }) }, event),
    })
  }
}

/** The stream is the queue: a server that does not read makes it grow, up to a limit. */
function writeMessage(stdin: Writable, message: object, server: string): void {
  const line = Buffer.from(`${JSON.stringify(message)}\n`)
  const queued = stdin.writableLength
  if (queued > 0 && queued + line.length > MAX_QUEUED_BYTES)
    throw new Problem(OVERLOADED, `server "${server}" does not read its input; ${queued} bytes wait already`)
  stdin.write(line)
}
