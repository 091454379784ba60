import fc from 'fast-check'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { toMcpTool, toWorkerTool } from './definition.ts'
import { type ValueSchema, toolDefinition } from './schema.ts'

function mcp(definition: object) {
  const whole = { name: 'ListMail', toolkit: { name: 'Demo' }, description: 'List mail.', ...definition }
  return toMcpTool(toWorkerTool(toolDefinition.parse(whole)))
}
const input = (parameters: object[]) => mcp({ input: { parameters } }).inputSchema
const output = (value_schema: object) => mcp({ output: { value_schema } }).outputSchema

describe('a worker tool as an MCP tool', () => {
  it('is named after toolkit and tool, and carries what Arcade knows about it', () => {
    const tool = mcp({
      deprecation_message: 'use SearchMail',
      requirements: { authorization: { provider_id: 'google', provider_type: 'oauth2', id: null }, secrets: null },
      metadata: {
        classification: { service_domains: ['email'] },
        behavior: { operations: ['read'], read_only: true, destructive: false, idempotent: true, open_world: null },
      },
      _meta: { 'ui/resourceUri': 'ui://mail' },
    })

    expect(tool).toEqual({
      name: 'Demo_ListMail',
      title: 'ListMail',
      description: '[DEPRECATED: use SearchMail] List mail.',
      inputSchema: { type: 'object', properties: {}, additionalProperties: false },
      annotations: { title: 'ListMail', readOnlyHint: true, destructiveHint: false, idempotentHint: true },
      _meta: {
        'ui/resourceUri': 'ui://mail',
        arcade: {
          requirements: { authorization: { provider_id: 'google', provider_type: 'oauth2' } },
          metadata: {
            classification: { service_domains: ['email'] },
            behavior: { operations: ['read'], read_only: true, destructive: false, idempotent: true },
          },
        },
      },
    })
  })

  it('without requirements has no _meta', () => {
    expect(
      mcp({ requirements: { authorization: null, secrets: null, metadata: null }, metadata: null }),
    ).not.toHaveProperty('_meta')
  })

  it.each([
    [
      { val_type: 'string', enum: ['a', 'b'] },
      { type: 'string', enum: ['a', 'b'] },
    ],
    [{ val_type: 'integer', nullable: true }, { type: ['integer', 'null'] }],
    [
      { val_type: 'string', enum: ['a'], nullable: true },
      { type: ['string', 'null'], enum: ['a', null] },
    ],
    [
      { val_type: 'array', inner_val_type: 'string', enum: ['a'] },
      { type: 'array', items: { type: 'string', enum: ['a'] } },
    ],
    [{ val_type: 'array' }, { type: 'array' }],
    [{ val_type: 'json' }, { type: 'object' }],
    [
      {
        val_type: 'json',
        properties: { n: { val_type: 'number', description: 'how many', nullable: true } },
        required_keys: ['n'],
      },
      {
        type: 'object',
        properties: { n: { type: ['number', 'null'], description: 'how many' } },
        additionalProperties: false,
        required: ['n'],
      },
    ],
    [
      {
        val_type: 'array',
        inner_val_type: 'json',
        inner_properties: { id: { val_type: 'string' } },
        inner_required_keys: ['id'],
      },
      {
        type: 'array',
        items: {
          type: 'object',
          properties: { id: { type: 'string' } },
          additionalProperties: false,
          required: ['id'],
        },
      },
    ],
  ])('input %j', (value_schema, schema) => {
    expect(input([{ name: 'p', required: true, description: null, value_schema }])).toEqual({
      type: 'object',
      properties: { p: schema },
      additionalProperties: false,
      required: ['p'],
    })
  })

  it.each([
    [{ val_type: 'string' }, { type: 'object', properties: { result: { type: 'string' } } }],
    [{ val_type: 'json' }, { type: 'object' }],
    [
      { val_type: 'json', nullable: true },
      { type: 'object', properties: { result: { type: ['object', 'null'] } } },
    ],
  ])('output %j', (value_schema, schema) => {
    expect(output(value_schema)).toEqual(schema)
  })

  it('always has schemas that a validator can compile and whose root is an object', () => {
    const { value } = fc.letrec<{ value: ValueSchema }>((tie) => ({
      value: fc.record({
        val_type: fc.constantFrom('string', 'integer', 'number', 'boolean', 'json', 'array'),
        inner_val_type: fc.option(fc.constantFrom('string', 'integer', 'json')),
        enum: fc.option(fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 3 })),
        properties: fc.option(fc.dictionary(fc.string(), tie('value'), { maxKeys: 2 }), { maxDepth: 2 }),
        inner_properties: fc.option(fc.dictionary(fc.string(), tie('value'), { maxKeys: 2 }), { maxDepth: 2 }),
        nullable: fc.option(fc.boolean()),
      }),
    }))
    const ajv = new Ajv2020({ strict: false })
    fc.assert(
      fc.property(value, (value_schema) => {
        const tool = mcp({
          input: { parameters: [{ name: 'p', required: true, value_schema }] },
          output: { value_schema },
        })

        expect(tool).toMatchObject({ inputSchema: { type: 'object' }, outputSchema: { type: 'object' } })
        ajv.compile(JSON.parse(JSON.stringify(tool.inputSchema)))
        ajv.compile(JSON.parse(JSON.stringify(tool.outputSchema)))
      }),
      { numRuns: 200 },
    )
  })
})
