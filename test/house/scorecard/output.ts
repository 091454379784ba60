/** 3. What may not come out: a secret, or a field by its name, is in nothing that anybody receives or reads later. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { isJsonObject, type JsonObject } from '#kernel'
import { SECRET } from '../../fakes/leaky-server.ts'
import { hearAll, timesIn } from '../hear-all.ts'
import type { MatrixClient } from '../matrix/clients.ts'
import { callTool, textOf } from '../talk.ts'
import { callByRest, connectAll, everythingWritten, findAgain, newTrace } from './kit.ts'
import { at, type Enrolled, type Rig } from './rig.ts'

const NOTE = 'was born on a farm in Ohio'

export function output(rig: () => Rig): void {
  describe('3. what may not come out', () => {
    let dora: Enrolled
    let clients: MatrixClient[]
    let schemas: ReadonlyMap<string, JsonObject>
    beforeAll(async () => {
      dora = await rig().enrol('dora')
      await dora.grant('leaky/*', 'memory/*', 'filesystem/*', 'everything/*')
      await writeFile(join(rig().files, 'key.txt'), `the key is ${SECRET}, keep it`)
      const entity = { name: 'Dora', entityType: 'person', observations: [NOTE] }
      await callTool(dora.line, 'create_entities', { entities: [entity] })
    })
    const schemaOf = (name: string): JsonObject => {
      // Of these drafts nothing is used that the newest does not have.
      const { $schema: _, ...schema }: JsonObject = schemas.get(name) ?? { not: {} }
      return schema
    }
    /** Results of one tool for every client, each held against what the tool says of its results. */
    const callAll = async (name: string, args: JsonObject = {}): Promise<JsonObject[]> => {
      const results = await Promise.all(clients.map((client) => client.callTool(name, args)))
      const fits = new Ajv2020({ strict: false, formats: { uri: (text: string) => URL.canParse(text) } }).compile(
        schemaOf(name),
      )
      expect(results.map(({ structuredContent }) => fits(structuredContent))).toEqual(results.map(() => true))
      return results
    }

    test('real clients hear nothing of it in text, structured content, errors, progress, logs, resources or questions', async () => {
      clients = await connectAll(dora)

      const heard = await Promise.all(clients.map(hearAll))

      expect(heard.map(timesIn)).toEqual(heard.map(() => 0))
      for (const text of heard) expect(text.split('[redacted]').length).toBeGreaterThan(20)
    })

    test('what published servers answer lacks the field, and still fits their schemas', async () => {
      clients = await connectAll(dora)
      schemas = await outputSchemas(at(clients, 0))

      const told = await callAll('tell')
      const graphs = await callAll('read_graph')
      const weather = await callAll('get-structured-content', { location: 'Chicago' })
      const files = await callAll('read_text_file', { path: join(rig().files, 'key.txt') })

      expect(timesIn(JSON.stringify([told, files]))).toBe(0)
      expect(JSON.stringify(graphs)).not.toContain(NOTE)
      expect(JSON.stringify(graphs[0])).toContain('Dora')
      expect(JSON.stringify(weather)).not.toContain('drizzle')
      expect(weather.map(({ structuredContent }) => structuredContent)).toMatchObject(
        weather.map(() => ({ temperature: 36, humidity: 82 })),
      )
      expect(files.map((result) => textOf({ result }))).toEqual(files.map(() => 'the key is [redacted], keep it'))
    })

    test('REST and prompts of every replica lack it as well', async () => {
      const heard = await Promise.all(
        dora.lines.flatMap((line) => ['tell', 'ask', 'fail'].map((tool) => callByRest(line, tool))),
      )

      expect(heard.map(timesIn)).toEqual(heard.map(() => 0))
      expect(heard.map((text) => text.includes('[redacted]'))).toEqual(heard.map(() => true))
    })

    test('it is logged: which rule, in which version, how often, and found by everything', async () => {
      const traces = dora.lines.map(newTrace)
      await Promise.all(dora.lines.map((line, index) => callTool(line, 'tell', {}, { meta: at(traces, index).meta })))

      const records = await Promise.all(traces.map(({ traceId }) => findAgain(rig(), traceId, 'file:NO-keys')))
      const byRule = await rig().first.api.searchAudit({ query: { rule: 'no-keys', user: 'dora', tool: 'tell' } })

      for (const record of records) {
        expect(record).toMatchObject({ decision: 'allowed', userId: 'dora', server: 'leaky', tool: 'tell' })
        expect(record.extra).toMatchObject({
          rule: expect.stringMatching(/^grant_/),
          content: [
            {
              rule: 'no-keys',
              id: 'file:no-keys',
              effect: 'redact',
              found: expect.any(Number),
              version: expect.stringMatching(/^\w{8,}/),
            },
          ],
        })
        expect(byRule.records).toContainEqual(record)
      }
      expect(timesIn(await everythingWritten(rig()))).toBe(0)
    })
  })
}

/** What each tool says of its results. */
async function outputSchemas(client: MatrixClient): Promise<ReadonlyMap<string, JsonObject>> {
  const listed = await client.request('tools/list')
  const { tools } = z
    .object({ tools: z.array(z.looseObject({ name: z.string(), outputSchema: z.json().optional() })) })
    .parse(listed)
  return new Map(tools.flatMap(({ name, outputSchema }) => (isJsonObject(outputSchema) ? [[name, outputSchema]] : [])))
}
