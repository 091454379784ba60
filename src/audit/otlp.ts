import type { AuditRecord } from './schema.ts'

/** OpenTelemetry's numbers for severities: INFO, WARN and ERROR. */
const SEVERITY = {
  allowed: [9, 'INFO'],
  cancelled: [9, 'INFO'],
  denied: [13, 'WARN'],
  failed: [17, 'ERROR'],
} as const satisfies Record<AuditRecord['decision'], readonly [number, string]>

type ShownRecord = AuditRecord & { readonly hash: string }

/** Records as one OTLP/JSON request of logs (`ExportLogsServiceRequest`); also a line of an OTLP file. */
export function toOtlp(records: readonly ShownRecord[]): object {
  const resource = { attributes: attributesOf({ 'service.name': 'gatehouse' }) }
  const scope = { name: 'gatehouse.audit' }
  return { resourceLogs: [{ resource, scopeLogs: [{ scope, logRecords: records.map(toLogRecord) }] }] }
}

function toLogRecord(record: ShownRecord): object {
  const { at, what, decision, traceId, extra, ...rest } = record
  const [severityNumber, severityText] = SEVERITY[decision]
  const time = `${at}000000`
  return {
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber,
    severityText,
    eventName: `gatehouse.audit.${what}`,
    body: { stringValue: `${decision}: ${what}` },
    attributes: [
      ...attributesOf({ decision, what }, 'gatehouse.audit.'),
      ...attributesOf(rest, 'gatehouse.audit.'),
      ...(extra === undefined ? [] : attributesOf({ extra: JSON.stringify(extra) }, 'gatehouse.audit.')),
    ],
    // Whatever else somebody calls a trace id, OTLP takes 16 bytes in hexadecimal.
    ...(traceId !== undefined && /^[0-9a-f]{32}$/.test(traceId) ? { traceId } : {}),
  }
}

type Attribute = { readonly key: string; readonly value: object }

function attributesOf(members: Readonly<Record<string, string | number | undefined>>, prefix = ''): Attribute[] {
  return Object.entries(members).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key: `${prefix}${key}`, value: valueOf(value) }],
  )
}

/** 64-bit integers travel as text in OTLP/JSON. */
function valueOf(value: string | number): object {
  if (typeof value === 'string') return { stringValue: value }
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}
