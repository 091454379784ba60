/** The thread that looks through large messages (`elsewhere.ts`). It answers in the order in which it was asked. */
import { parentPort, workerData } from 'node:worker_threads'
import { isJsonObject, type JsonObject } from '#kernel'
import { compileRules, type CompiledRule } from './compile.ts'
import { screen, type Screened } from './screen.ts'
import { createTokens, type Tokens } from './token.ts'
import type { Answer, Look, Order } from './worker-messages.ts'

if (parentPort) serve(parentPort, createTokens(workerData.tokenKey))

function serve(port: NonNullable<typeof parentPort>, tokens: Tokens): void {
  let rules: readonly CompiledRule[] = []
  port.on('message', (order: Order) => {
    if (order.kind === 'rules') rules = compileRules(order.rules)
    else port.postMessage(answer(order.number, () => perform(order.look, rules, tokens)))
  })
}

function answer(number: number, look: () => Screened): Answer {
  try {
    return { number, screened: look() }
  } catch {
    return { number, failed: true }
  }
}

function perform(look: Look, all: readonly CompiledRule[], tokens: Tokens): Screened {
  const { kind, schema, bytes, userId } = look
  const value = look.value ?? parse(bytes ?? new Uint8Array())
  const rules = look.ranks.flatMap((rank) => all[rank] ?? [])
  const screened = screen({ kind, value, schema }, rules, (rule, found) => tokens.make(userId, { rule, value: found }))
  if (bytes === undefined) return screened
  // Bytes came, so bytes go: the house may have no need of the value.
  const isSame = screened.value === value
  return { ...screened, value: {}, ...(isSame ? {} : { bytes: Buffer.from(JSON.stringify(screened.value)) }) }
}

function parse(bytes: Uint8Array): JsonObject {
  const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
  return isJsonObject(value) ? value : {}
}
