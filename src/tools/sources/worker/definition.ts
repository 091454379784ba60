import type { Json, JsonObject } from '#kernel'
import type { Definition } from '../../source.ts'
import type { ToolDefinition, ValueSchema } from './schema.ts'

/** A worker's tool under its MCP name. `wraps` says that its value travels as `{result: value}`. */
export type WorkerTool = {
  readonly name: string
  readonly wraps: boolean
  readonly isNullable: boolean
  readonly definition: ToolDefinition
}

/** Turns a worker's tool into an MCP tool, by the same rules as Arcade's own MCP server, so that names and schemas agree. */
export function toMcpTool(tool: WorkerTool): Definition {
  const { name, description, toolkit, deprecation_message: deprecation, output } = tool.definition
  const valueSchema = output?.value_schema ? toJsonSchema(output.value_schema) : undefined
  return present({
    name: tool.name,
    title: name,
    description: `${deprecation ? `[DEPRECATED: ${deprecation}] ` : ''}${description ?? `${name} of ${toolkit.name}`}`,
    inputSchema: toInputSchema(tool.definition),
    outputSchema: valueSchema && tool.wraps ? wrapped(valueSchema) : valueSchema,
    annotations: toAnnotations(tool.definition),
    _meta: toMeta(tool.definition),
  })
}

/** Reads how a tool is named and how its value travels. MCP wants an object, so anything else is wrapped. */
export function toWorkerTool(definition: ToolDefinition): WorkerTool {
  const value = definition.output?.value_schema
  const isNullable = value?.nullable === true
  return {
    name: `${definition.toolkit.name}_${definition.name}`.replaceAll('.', '_'),
    wraps: value ? value.val_type !== 'json' || isNullable : false,
    isNullable,
    definition,
  }
}

function toInputSchema({ input }: ToolDefinition): JsonObject {
  const parameters = input?.parameters ?? []
  const required = parameters.filter((parameter) => parameter.required).map((parameter) => parameter.name)
  const properties = parameters.map((parameter) => [
    parameter.name,
    present({
      ...(parameter.value_schema ? toJsonSchema(parameter.value_schema) : { type: 'string' }),
      description: parameter.description ?? parameter.value_schema?.description,
    }),
  ])
  return present({
    type: 'object',
    properties: Object.fromEntries(properties),
    additionalProperties: false,
    required: required.length > 0 ? required : undefined,
  })
}

function wrapped(schema: JsonObject): JsonObject {
  return { type: 'object', properties: { result: schema } }
}

const MAX_DEPTH = 32

function toJsonSchema(value: ValueSchema, depth = 0): JsonObject {
  if (depth > MAX_DEPTH) return {}
  const schema = ofType(value, depth)
  return value.nullable === true ? orNull(schema) : schema
}

function ofType(value: ValueSchema, depth: number): JsonObject {
  switch (value.val_type) {
    case 'json':
      return present({
        type: 'object',
        enum: value.enum ?? undefined,
        ...toShape(value.properties, value.required_keys, depth),
      })
    case 'array':
      return present({ type: 'array', items: toItems(value, depth) })
    default:
      return present({ type: toJsonType(value.val_type), enum: value.enum ?? undefined })
  }
}

/** An array's `enum` lists the values that its elements may have. */
function toItems(value: ValueSchema, depth: number): JsonObject | undefined {
  if (!value.inner_val_type) return undefined
  const shape =
    value.inner_val_type === 'json' ? toShape(value.inner_properties, value.inner_required_keys, depth) : undefined
  return present({ type: toJsonType(value.inner_val_type), enum: value.enum ?? undefined, ...shape })
}

/** An object whose members are known has no others; one without a list is free. */
function toShape(properties: ValueSchema['properties'], required: ValueSchema['required_keys'], depth: number) {
  const members = Object.entries(properties ?? {}).map(([name, member]) => [
    name,
    present({ ...toJsonSchema(member, depth + 1), description: member.description }),
  ])
  return {
    ...(properties ? { properties: Object.fromEntries(members), additionalProperties: false } : {}),
    ...(required && required.length > 0 ? { required } : {}),
  }
}

function orNull(schema: JsonObject): JsonObject {
  if (typeof schema.type !== 'string') return schema
  const choices = Array.isArray(schema.enum) ? { enum: [...schema.enum, null] } : {}
  return { ...schema, type: [schema.type, 'null'], ...choices }
}

function toJsonType(type: string): string {
  switch (type) {
    case 'integer':
    case 'number':
    case 'boolean':
    case 'array':
      return type
    case 'json':
      return 'object'
    default:
      return 'string'
  }
}

function toAnnotations({ name, metadata }: ToolDefinition): JsonObject {
  const behavior = metadata?.behavior
  return present({
    title: name,
    readOnlyHint: behavior?.read_only,
    destructiveHint: behavior?.destructive,
    idempotentHint: behavior?.idempotent,
    openWorldHint: behavior?.open_world,
  })
}

function toMeta(definition: ToolDefinition): JsonObject | undefined {
  const { requirements, metadata, _meta } = definition
  const needs = requirements && (requirements.authorization || requirements.secrets || requirements.metadata)
  const arcade = present({
    requirements: needs ? withoutNulls(requirements) : undefined,
    metadata: withoutNulls(metadata),
  })
  if (!_meta && Object.keys(arcade).length === 0) return undefined
  return Object.keys(arcade).length === 0 ? { ..._meta } : { ..._meta, arcade }
}

/** Drops members that are not set: Python workers write them as null, which would be noise in every list. */
function withoutNulls(value: unknown): Json | undefined {
  // The value came out of JSON.parse, so what JSON gives back is JSON again.
  return value ? JSON.parse(JSON.stringify(value, (_, member: unknown) => member ?? undefined)) : undefined
}

function present(members: Readonly<Record<string, Json | readonly string[] | null | undefined>>): JsonObject {
  return Object.fromEntries(Object.entries(members).filter(([, member]) => member !== undefined && member !== null))
}
