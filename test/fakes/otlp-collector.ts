/**
 * Stands for a collector of OpenTelemetry logs (OTLP/HTTP with JSON). It takes only what the protocol knows: a request with
 * a member too many, a time that is no text of digits or a trace id that is not 32 hexadecimal digits is answered with 400.
 */
import type { IncomingHttpHeaders } from 'node:http'
import * as z from 'zod'
import { listen, parseObject, readText, sendJson, type Listening } from './listen.ts'
import { createJournal, type Journal } from './observe.ts'

const digits = z.string().regex(/^\d+$/)
const value = z.union([
  z.strictObject({ stringValue: z.string() }),
  z.strictObject({ intValue: digits }),
  z.strictObject({ doubleValue: z.number() }),
  z.strictObject({ boolValue: z.boolean() }),
])
const attributes = z.array(z.strictObject({ key: z.string().min(1), value }))
const logRecord = z.strictObject({
  timeUnixNano: digits,
  observedTimeUnixNano: digits,
  severityNumber: z.int().min(1).max(24),
  severityText: z.string(),
  eventName: z.string().min(1),
  body: value,
  attributes,
  traceId: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .optional(),
})
const logsRequest = z.strictObject({
  resourceLogs: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes }),
      scopeLogs: z.array(
        z.strictObject({ scope: z.strictObject({ name: z.string() }), logRecords: z.array(logRecord).min(1) }),
      ),
    }),
  ),
})

export type Collected = { readonly body: string; readonly headers: IncomingHttpHeaders }
export type OtlpCollector = Listening & {
  readonly taken: Journal<Collected>
  /** What it could not take, with the reason. */
  readonly refused: Journal<string>
}

export async function startOtlpCollector(): Promise<OtlpCollector> {
  const taken = createJournal<Collected>()
  const refused = createJournal<string>()
  const server = await listen(
    (req, res) => {
      void readText(req).then((body) => {
        const isLogs = req.method === 'POST' && req.headers['content-type'] === 'application/json'
        const parsed = logsRequest.safeParse(parseObject(body))
        if (!isLogs || !parsed.success) {
          refused.add(`${req.method} ${req.headers['content-type']} ${parsed.error?.message}`)
          return sendJson(res, 400, { code: 3, message: 'this is no ExportLogsServiceRequest' })
        }
        taken.add({ body, headers: req.headers })
        sendJson(res, 200, {})
      })
    },
    { path: '/v1/logs' },
  )
  return { ...server, taken, refused }
}
