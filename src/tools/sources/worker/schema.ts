import * as z from 'zod'

/**
 * What workers send (Arcade worker protocol 1.0, as the Python and TypeScript workers really send it: Python writes
 * `null` for everything that is not set). Unknown members are ignored, so a newer worker still works.
 */

const text = z.string().max(65_536)
const optionalText = text.nullish()
/** Text for the caller or the log: its beginning is enough. */
const clipped = z.string().transform((whole) => (whole.length > 16_384 ? `${whole.slice(0, 16_384)}…` : whole))

export type ValueSchema = {
  readonly val_type: string
  readonly inner_val_type?: string | null | undefined
  readonly enum?: readonly string[] | null | undefined
  readonly properties?: Readonly<Record<string, ValueSchema>> | null | undefined
  readonly inner_properties?: Readonly<Record<string, ValueSchema>> | null | undefined
  readonly description?: string | null | undefined
  readonly required_keys?: readonly string[] | null | undefined
  readonly inner_required_keys?: readonly string[] | null | undefined
  readonly nullable?: boolean | null | undefined
}

const valueSchema: z.ZodType<ValueSchema> = z.lazy(() =>
  z.object({
    val_type: z.string().max(32),
    inner_val_type: z.string().max(32).nullish(),
    enum: z.array(text).nullish(),
    properties: z.record(z.string(), valueSchema).nullish(),
    inner_properties: z.record(z.string(), valueSchema).nullish(),
    description: optionalText,
    required_keys: z.array(text).nullish(),
    inner_required_keys: z.array(text).nullish(),
    nullable: z.boolean().nullish(),
  }),
)

const keyed = z.array(z.looseObject({ key: z.string().min(1).max(256) })).nullish()

export const toolDefinition = z.object({
  name: z.string().min(1).max(256),
  description: optionalText,
  toolkit: z.object({ name: z.string().min(1).max(256), version: z.string().max(128).nullish() }),
  input: z
    .object({
      parameters: z
        .array(
          z.object({
            name: z.string().min(1).max(256),
            required: z.boolean().nullish(),
            description: optionalText,
            value_schema: valueSchema.nullish(),
          }),
        )
        .nullish(),
    })
    .nullish(),
  output: z.object({ value_schema: valueSchema.nullish() }).nullish(),
  requirements: z
    .looseObject({
      authorization: z
        .looseObject({ provider_id: z.string().max(256).nullish(), id: z.string().max(256).nullish() })
        .nullish(),
      secrets: keyed,
      metadata: keyed,
    })
    .nullish(),
  deprecation_message: optionalText,
  metadata: z
    .looseObject({
      behavior: z
        .looseObject({
          read_only: z.boolean().nullish(),
          destructive: z.boolean().nullish(),
          idempotent: z.boolean().nullish(),
          open_world: z.boolean().nullish(),
        })
        .nullish(),
    })
    .nullish(),
  _meta: z.record(z.string(), z.json()).nullish(),
})
export type ToolDefinition = z.output<typeof toolDefinition>

export const health = z.object({ status: z.string().max(256) })

const toolError = z.object({
  message: clipped.catch('The tool failed.'),
  kind: z.string().max(128).catch('UNKNOWN'),
  developer_message: clipped.nullish().catch(null),
  can_retry: z.boolean().catch(false),
  additional_prompt_content: clipped.nullish().catch(null),
  retry_after_ms: z.number().nonnegative().nullish().catch(null),
  stacktrace: clipped.nullish().catch(null),
})
export type ToolError = z.output<typeof toolError>

const authorization = z.object({ authorization_url: z.string().max(8_192).nullish().catch(null) })

const log = z.object({ message: clipped, level: z.enum(['debug', 'info', 'warning', 'error']) })
export type ToolLog = z.output<typeof log>

export const invokeResponse = z.object({
  success: z.boolean(),
  output: z
    .object({
      value: z.json().optional(),
      logs: z.array(log).nullish().catch(null),
      error: toolError.nullish(),
      requires_authorization: authorization.nullish(),
    })
    .nullish(),
})
export type InvokeResponse = z.output<typeof invokeResponse>
