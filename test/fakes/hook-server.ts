/**
 * Stands for an operator's contextual-access service. It knows the contract of `/pre`, `/post`, `/access` and `/health`
 * to the letter: a request with a member missing, of another kind or too many, without its token or with a signature that
 * is not right for it, is answered with 400 or 401, and so fails whatever was to go on.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import * as z from 'zod'
import { listen, parseObject, readText, sendJson, type Listening } from './listen.ts'
import { createJournal, type Journal } from './observe.ts'

const json = z.json()
const object = z.record(z.string(), json)
const tool = z.strictObject({
  name: z.string().min(1),
  toolkit: z.string().min(1),
  version: z.string(),
  metadata: object.optional(),
})
const context = z.strictObject({
  authorization: z.array(
    z.strictObject({
      provider_id: z.string(),
      oauth2: z.strictObject({ scopes: z.array(z.string()), at: z.string(), user_info: object }).partial(),
    }),
  ),
  secrets: z.array(z.string()),
  metadata: object,
  user_id: z.string().min(1),
})
const frame = { execution_id: z.string().min(1), tool, inputs: object, context }
const end = { success: z.boolean(), output: json, execution_code: z.string(), execution_error: z.string() }
const requirements = z.strictObject({
  authorization: z.array(object),
  secrets: z.array(z.strictObject({ name: z.string() })),
})
const version = z.strictObject({ version: z.string(), requirements, metadata: object })
const BODIES = {
  '/pre': z.strictObject(frame),
  '/post': z.strictObject({ ...frame, ...end }),
  '/access': z.strictObject({
    user_id: z.string().min(1),
    toolkits: z.record(z.string(), z.strictObject({ tools: z.record(z.string(), z.array(version).min(1)) })),
  }),
} as const

type Path = keyof typeof BODIES
type Body<P extends Path> = z.output<(typeof BODIES)[P]>
/** `isQuestion`: it was said that nobody makes the call. */
export type Asked = { readonly path: string; readonly body: unknown; readonly isQuestion: boolean }

/** What it answers; a number is a status without a body, and `silence` no answer at all. */
type Reply = object | number | 'silence'
export type HookBehaviour = {
  pre?: (body: Body<'/pre'>) => Reply
  post?: (body: Body<'/post'>) => Reply
  access?: (body: Body<'/access'>) => Reply
  health?: () => Reply
}

export type HookServer = Listening & { readonly asked: Journal<Asked>; behave(behaviour: HookBehaviour): void }

export async function startHookServer(
  options: HookBehaviour & { token?: string; signingSecret?: string } = {},
): Promise<HookServer> {
  const asked = createJournal<Asked>()
  let behaviour: HookBehaviour = options
  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const path = req.url ?? ''
    const text = await readText(req)
    const refusal = refusalOf(req, text, options)
    if (refusal) return sendJson(res, refusal.status, { error: refusal.error, code: 'BAD_REQUEST' })
    const reply = replyTo(path, text, behaviour)
    asked.add({ path, body: parseObject(text), isQuestion: req.headers['gatehouse-question'] === 'explain' })
    if (reply === 'silence') return
    if (typeof reply === 'number') return sendJson(res, reply, { error: 'as told', code: 'ERROR' })
    sendJson(res, 200, reply)
  }
  const server = await listen((req, res) => void answer(req, res), { path: '' })
  return { ...server, asked, behave: (next) => void (behaviour = { ...behaviour, ...next }) }
}

function replyTo(path: string, text: string, { pre, post, access, health }: HookBehaviour): Reply {
  switch (path) {
    case '/health':
      return health?.() ?? { status: 'healthy' }
    case '/pre': {
      const body = BODIES['/pre'].safeParse(parseObject(text))
      return body.success ? (pre?.(body.data) ?? { code: 'OK' }) : 400
    }
    case '/post': {
      const body = BODIES['/post'].safeParse(parseObject(text))
      return body.success ? (post?.(body.data) ?? { code: 'OK' }) : 400
    }
    case '/access': {
      const body = BODIES['/access'].safeParse(parseObject(text))
      return body.success ? (access?.(body.data) ?? {}) : 400
    }
    default:
      return 404
  }
}

const FIVE_MINUTES_S = 300

function refusalOf(
  req: IncomingMessage,
  text: string,
  { token, signingSecret }: { token?: string; signingSecret?: string },
): { status: number; error: string } | null {
  const expectedMethod = req.url === '/health' ? 'GET' : 'POST'
  if (req.method !== expectedMethod) return { status: 405, error: 'another method is expected' }
  if (token !== undefined && req.headers.authorization !== `Bearer ${token}`)
    return { status: 401, error: 'who is it?' }
  if (signingSecret === undefined || isSigned(String(req.headers['gatehouse-signature']), text, signingSecret))
    return null
  return { status: 401, error: 'the signature is not right' }
}

/** As docs/hooks.md tells it. */
function isSigned(header: string, text: string, secret: string): boolean {
  const [, seconds = '', mac = ''] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header) ?? []
  if (Math.abs(Date.now() / 1_000 - Number(seconds)) > FIVE_MINUTES_S) return false
  const expected = createHmac('sha256', secret).update(`${seconds}.${text}`).digest()
  const given = Buffer.from(mac, 'hex')
  return given.length === expected.length && timingSafeEqual(given, expected)
}
