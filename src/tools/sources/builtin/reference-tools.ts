import * as z from 'zod'
import { isJsonObject, type Json, type JsonObject } from '#kernel'
import type { CallerSession, Definition } from '../../source.ts'

export type BuiltinTool = {
  readonly definition: Definition
  /** Gives a `CallToolResult`; arguments that do not fit are a tool error, so that a model can read it and try again. */
  run(given: Json, session: CallerSession): JsonObject
}

const HARMLESS = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false }

const echo = defineTool({
  name: 'echo',
  title: 'Echo',
  description: 'Returns the text that it is given.',
  input: z.strictObject({ text: z.string().max(1_000_000).describe('What to say back.') }),
  run: ({ text }) => ({ content: [{ type: 'text', text }] }),
})

const add = defineTool({
  name: 'add',
  title: 'Add',
  description: 'Adds two numbers.',
  input: z.strictObject({ a: z.number().describe('The one number.'), b: z.number().describe('The other number.') }),
  output: z.strictObject({ sum: z.number() }),
  run: ({ a, b }) => (Number.isFinite(a + b) ? structured({ sum: a + b }) : toolError('the sum is too large a number')),
})

const whoami = defineTool({
  name: 'whoami',
  title: 'Who am I',
  description: 'Tells for whom this call is made and through which client, as the gateway sees it.',
  input: z.strictObject({}),
  output: z.strictObject({
    userId: z.string(),
    clientInfo: z.looseObject({ name: z.string().optional(), version: z.string().optional() }),
    era: z.enum(['legacy', 'modern']).describe('Which generation of MCP the client speaks.'),
  }),
  run: (_, { userId, clientInfo, era }) => structured({ userId, clientInfo, era }),
})

/** All tools of the reference server, in the order in which they are listed. */
export const REFERENCE_TOOLS: readonly BuiltinTool[] = [echo, add, whoami]

type ToolSpec<Input extends z.ZodObject> = {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly input: Input
  readonly output?: z.ZodObject
  run(input: z.output<Input>, session: CallerSession): JsonObject
}

function defineTool<Input extends z.ZodObject>(spec: ToolSpec<Input>): BuiltinTool {
  const { name, title, description, input, output } = spec
  const outputSchema = output && { outputSchema: jsonSchema(output) }
  const annotations = { title, ...HARMLESS }
  return {
    definition: { name, title, description, inputSchema: jsonSchema(input), ...outputSchema, annotations },
    run(given, session) {
      const parsed = input.safeParse(given)
      return parsed.success ? spec.run(parsed.data, session) : toolError(whatIsWrong(name, parsed.error))
    },
  }
}

function jsonSchema(type: z.ZodType): JsonObject {
  const schema: unknown = JSON.parse(JSON.stringify(z.toJSONSchema(type)))
  if (!isJsonObject(schema)) throw new Error('a JSON schema is an object')
  return schema
}

/** The value for programs, and the same as text for clients that read only text. */
function structured(value: JsonObject): JsonObject {
  return { content: [{ type: 'text', text: JSON.stringify(value) }], structuredContent: value }
}

function toolError(text: string): JsonObject {
  return { content: [{ type: 'text', text }], isError: true }
}

function whatIsWrong(tool: string, { issues }: z.ZodError): string {
  const lines = issues.map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message))
  return `The arguments of "${tool}" do not fit its schema: ${lines.join('; ')}`
}
