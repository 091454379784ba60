import * as z from 'zod'
import { isJsonObject, type Json, type JsonObject } from '#kernel'
import { moduleOf } from './admin-action.ts'
import type { Contract, Operation } from './contract.ts'
import { createComponents, type Components } from './components.ts'
import { describeProblems } from './describe-problems.ts'

/** The OpenAPI 3.1 document of several contracts. The same contracts always give the same text. */
export function describeApi(
  about: { title: string; version: string; description: string },
  contracts: Readonly<Record<string, Contract>>,
): JsonObject {
  const components = createComponents()
  const paths: Record<string, Record<string, JsonObject>> = {}
  for (const [tag, contract] of Object.entries(contracts)) {
    for (const [name, operation] of Object.entries(contract)) {
      const methods = (paths[operation.path] ??= {})
      methods[operation.method.toLowerCase()] = describeOperation({ tag, name, operation }, components)
    }
  }
  return {
    openapi: '3.1.1',
    info: about,
    servers: [{ url: '/' }],
    tags: Object.keys(contracts).map((name) => ({ name })),
    paths,
    components: {
      schemas: { ...components.all(), Problem: problemSchema },
      securitySchemes: {
        admin: {
          type: 'http',
          scheme: 'bearer',
          description:
            'An admin key, whose account is an admin or is permitted the action of the operation, or the local admin token.',
        },
        gatewayKey: { type: 'http', scheme: 'bearer', description: 'A key of the gateway in the path.' },
      },
    },
  }
}

function describeOperation(
  named: { tag: string; name: string; operation: Operation },
  components: Components,
): JsonObject {
  const { operation } = named
  const body = operation.body ? { requestBody: describeBody(operation.body, components) } : {}
  return {
    operationId: named.name,
    tags: [named.tag],
    summary: operation.summary,
    ...(operation.description === undefined ? {} : { description: operation.description }),
    security: SECURITY[operation.access],
    ...(operation.access === 'admin' ? { 'x-gatehouse-action': `admin:${moduleOf(operation)}` } : {}),
    parameters: [
      ...describeParameters('path', operation.params, components),
      ...describeParameters('query', operation.query, components),
    ],
    ...body,
    responses: { ...describeReply(operation, components), ...describeProblems(operation) },
  }
}

const SECURITY = {
  open: [],
  gateway: [{ gatewayKey: [] }, { admin: [] }],
  admin: [{ admin: [] }],
} as const

function describeBody(body: z.ZodType, components: Components): JsonObject {
  return { required: true, content: { 'application/json': { schema: components.schema(body, 'input') } } }
}

function describeParameters(where: 'path' | 'query', object: z.ZodObject | undefined, components: Components): Json[] {
  const schema = object ? components.schema(object, 'input') : {}
  const properties = isJsonObject(schema['properties']) ? schema['properties'] : {}
  const required = Array.isArray(schema['required']) ? schema['required'] : []
  return Object.entries(properties).map(([name, property]) => {
    const described = isJsonObject(property) ? property : {}
    const { description, ...rest } = described
    return {
      name,
      in: where,
      required: where === 'path' || required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: rest,
    }
  })
}

function describeReply(operation: Operation, components: Components): JsonObject {
  if (!operation.reply) return { 204: { description: 'Done.' } }
  const type = operation.stream ? 'application/x-ndjson' : 'application/json'
  const description = operation.stream ? 'One value a line, as they come.' : 'Done.'
  const schema = components.schema(operation.reply, 'output')
  return { [operation.status ?? 200]: { description, content: { [type]: { schema } } } }
}

const problemSchema = {
  type: 'object',
  description: 'RFC 9457. `detail` says what to do next; `type` is stable.',
  properties: {
    type: { type: 'string', examples: ['urn:problem:http/invalid-request'] },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
  },
  required: ['type', 'title', 'status', 'detail'],
} as const satisfies JsonObject
