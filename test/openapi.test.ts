import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { contracts, describeHouse } from '../src/main/index.ts'

const committed = readFileSync(join(import.meta.dirname, '../docs/openapi.json'), 'utf8')

test('the committed OpenAPI document is the one the house serves', () => {
  expect(`${JSON.stringify(describeHouse(), null, 2)}\n`).toBe(committed)
})

test('every reference in it leads somewhere', () => {
  const { components } = JSON.parse(committed)
  const references = [...committed.matchAll(/"\$ref": "#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name)

  expect(references.length).toBeGreaterThan(10)
  expect(references.filter((name) => !Object.hasOwn(components.schemas, name ?? ''))).toEqual([])
  expect(committed).not.toContain('$defs')
})

test('every operation has a name of its own', () => {
  const names = Object.values(contracts).flatMap((contract) => Object.keys(contract))

  expect(new Set(names).size).toBe(names.length)
})

test('every text that a caller sends has a longest length', () => {
  const document = JSON.parse(committed)
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.values(methods ?? {}).map(({ parameters, requestBody }) => [path, { parameters, requestBody }] as const),
  )

  const open = operations.flatMap(([path, sent]) => openTexts(sent, { document, place: path }))

  expect(open).toEqual([])
})

/** Where a schema takes a text without an end; references are followed once. */
function openTexts(schema: unknown, at: { document: { components: { schemas: object } }; place: string }): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const members = new Map<string, unknown>(Object.entries(schema))
  const isOpen = members.get('type') === 'string' && !LIMITS.some((limit) => members.has(limit))
  const reference = members.get('$ref')
  const name = typeof reference === 'string' ? reference.replace('#/components/schemas/', '') : ''
  const referred = new Map<string, unknown>(Object.entries(at.document.components.schemas)).get(name)
  const inside = name === 'JsonValue' ? [] : openTexts(referred, { ...at, place: name })
  const parts = [...members].flatMap(([key, part]) => openTexts(part, { ...at, place: `${at.place}.${key}` }))
  return [...(isOpen ? [at.place] : []), ...inside, ...parts]
}

const LIMITS = ['maxLength', 'pattern', 'enum', 'const']
