import { describe, expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { compileRules } from './compile.ts'
import { contentRule, type ContentRuleInput } from './schema.ts'
import { screen, type Message } from './screen.ts'

function look(rule: Omit<ContentRuleInput, 'name'>, message: Message) {
  const parsed = contentRule.parse({ name: 'r', ...rule })
  return screen(
    message,
    compileRules([{ ref: { name: 'r', id: 'crule_1', version: '1' }, rule: parsed }]),
    () => 'tok_x',
  )
}

const args = (value: JsonObject): Message => ({ kind: 'params', value: { name: 't', arguments: value } })

describe('a path names', () => {
  const data = { a: { b: [{ c: 'X1' }, { c: 'X2', d: 'X3' }] }, c: 'X4', 'odd name': { c: 'X5' }, list: ['X6', 'X7'] }

  test.each([
    ['$.c', ['X4']],
    ['$.a.b[*].c', ['X1', 'X2']],
    ['$.a.b[1].c', ['X2']],
    ['$..c', ['X1', 'X2', 'X4', 'X5']],
    ['$.a..c', ['X1', 'X2']],
    ["$['odd name'].c", ['X5']],
    ['$["odd name"].*', ['X5']],
    ['$.list[0]', ['X6']],
    ['$.list', ['X6', 'X7']],
    ['$.*.c', ['X5']],
    ['$..b[0]..c', ['X1']],
    ['$..*', ['X1', 'X2', 'X3', 'X4', 'X5', 'X6', 'X7']],
    ['$', ['X1', 'X2', 'X3', 'X4', 'X5', 'X6', 'X7']],
    ['$.nothing', []],
  ])('%s', (path, expected) => {
    const after = JSON.stringify(look({ path, pattern: 'X[0-9]', effect: 'redact' }, args(data)).value)

    const gone = ['X1', 'X2', 'X3', 'X4', 'X5', 'X6', 'X7'].filter((text) => !after.includes(text))
    expect(gone).toEqual(expected)
  })
})

describe('every part of every message is looked at', () => {
  const S = '219-09-9999'
  test.each<[string, Message]>([
    ['an argument', args({ a: { b: [S] } })],
    ['the name of an argument', args({ [S]: 1 })],
    ['a number', args({ a: 219099999 })],
    ['the address of a resource', { kind: 'params', value: { uri: `crm://${S}` } }],
    [
      'an argument to be completed',
      { kind: 'params', value: { ref: { type: 'ref/prompt', name: 'p' }, argument: { name: 'a', value: S } } },
    ],
    ['an answer', { kind: 'answers', value: { q1: { action: 'accept', content: { ssn: S } } } }],
    [
      'a sampled answer',
      { kind: 'answers', value: { q1: { role: 'assistant', content: { type: 'text', text: S }, model: 'm' } } },
    ],
    ['a text', { kind: 'result', value: { content: [{ type: 'text', text: S }] } }],
    ['structured content', { kind: 'result', value: { content: [], structuredContent: { a: S } } }],
    [
      'an embedded resource',
      { kind: 'result', value: { content: [{ type: 'resource', resource: { uri: 'a://b', text: S } }] } },
    ],
    [
      'a blob that is text',
      { kind: 'result', value: { contents: [{ uri: 'a://b', blob: Buffer.from(`x ${S}`).toString('base64') }] } },
    ],
    ['a link', { kind: 'result', value: { content: [{ type: 'resource_link', uri: `a://${S}`, name: 'n' }] } }],
    [
      'a description of a link',
      { kind: 'result', value: { content: [{ type: 'resource_link', uri: 'a://b', name: 'n', description: S }] } },
    ],
    ['metadata', { kind: 'result', value: { content: [], _meta: { 'x.example/y': S } } }],
    [
      'a prompt',
      { kind: 'result', value: { description: S, messages: [{ role: 'user', content: { type: 'text', text: S } }] } },
    ],
    ['a completion', { kind: 'result', value: { completion: { values: [S] } } }],
    ['a task', { kind: 'result', value: { taskId: 't', status: 'working', statusMessage: S } }],
    [
      'the result of a task',
      { kind: 'result', value: { taskId: 't', status: 'completed', result: { content: [{ type: 'text', text: S }] } } },
    ],
    ['an error', { kind: 'error', value: { message: S } }],
    ['the data of an error', { kind: 'error', value: { message: '', data: { why: S } } }],
    ['progress', { kind: 'notification', value: { progress: 1, message: S } }],
    ['a log message', { kind: 'notification', value: { level: 'info', data: { a: S } } }],
    ['a log message of text', { kind: 'notification', value: { level: 'info', data: S } }],
    [
      'a question',
      {
        kind: 'questions',
        value: {
          q1: {
            method: 'elicitation/create',
            params: {
              message: S,
              requestedSchema: { type: 'object', properties: { a: { type: 'string', description: S } } },
            },
          },
        },
      },
    ],
    [
      'a page to open',
      {
        kind: 'questions',
        value: {
          q1: { method: 'elicitation/create', params: { mode: 'url', message: '', url: `https://a.example/${S}` } },
        },
      },
    ],
    [
      'a prompt to be sampled',
      {
        kind: 'questions',
        value: {
          q1: {
            method: 'sampling/createMessage',
            params: { systemPrompt: S, messages: [{ role: 'user', content: { type: 'text', text: S } }] },
          },
        },
      },
    ],
  ])('%s', (_, message) => {
    const { outcome, value } = look({ detect: ['ssn', 'ssn-bare'], effect: 'redact' }, message)

    expect(outcome).toBe('changed')
    expect(JSON.stringify(value)).not.toMatch(/219-?09-?9999/)
    expect(JSON.stringify(value)).not.toContain(Buffer.from(S).toString('base64').slice(4, 12))
  })

  test('pictures and what programs read pass', () => {
    const picture = Buffer.alloc(1_000, 0xf5).toString('base64')
    const value = { content: [{ type: 'image', data: picture, mimeType: 'image/png' }], isError: false }

    expect(look({ pattern: '[a-z]+', effect: 'redact' }, { kind: 'result', value }).value).toMatchObject({
      content: [{ type: 'image', data: picture }],
    })
  })

  test('what is nested too deeply to be checked does not pass', () => {
    let value: JsonObject = { a: 1 }
    for (let level = 0; level < 300; level++) value = { a: value }

    expect(look({ detect: ['ssn'], effect: 'redact' }, args(value))).toMatchObject({ outcome: 'withheld', by: null })
  })
})

describe('targets', () => {
  test.each([
    ['http://evil.example/x', true],
    ['HTTPS://EVIL.example./x', true],
    ['see <http://user:pw@evil.example:8080/x>', true],
    ['http://good@evil.example/x', true],
    ['http://evil.example@good.example/x', false],
    ['http://evil.example.good.example/x', false],
    ['http://a.bad.example/', true],
    ['http://bad.example/', false],
    ['http://0x7f.1/x', true],
    ['http://2130706433/x', true],
    ['ftp://evil.example/x', true],
    ['http:\\\\evil.example/x', true],
    ['http:/evil.example/x', true],
    ['http:evil.example/x', true],
    ['{"to":"http:\\/\\/evil.example\\/x"}', true],
    ['http://ev\til.example/', true],
    ['http://evil.exa\nmple/x', true],
    ['see http://evil.example\nand more', true],
    ['http://good.example\nevil.example', false],
    ['http://[::ffff:127.0.0.1]/x', true],
    ['http://xn--bcher-kva.example/', true],
    ['http://BÜCHER.example/', true],
    ['xhttp:evil.example', false],
    ['note: evil.example', false],
  ])('the host of %s: %s', (text, isFound) => {
    const rule = {
      url_hosts: ['evil.example', '*.bad.example', '127.0.0.1', 'bücher.example'],
      effect: 'block' as const,
    }

    expect(look(rule, args({ text })).outcome).toBe(isFound ? 'blocked' : 'passes')
  })

  test.each([
    ['http://a.example/latest/meta-data', true],
    ['http://a.example/x/../latest/meta-data', true],
    ['http://a.example/%6Catest/', true],
    ['http://a.example//LATEST//x', true],
    ['http://a.example/v1/secrets/one', true],
    ['http://a.example/v1/other/one', false],
    ['http://a.example/other', false],
  ])('the path of %s: %s', (text, isFound) => {
    expect(
      look({ url_hosts: ['a.example'], url_paths: ['/latest/', '/*/secrets/*'], effect: 'block' }, args({ text }))
        .outcome,
    ).toBe(isFound ? 'blocked' : 'passes')
  })

  test.each([
    ['delete from t', true],
    ['SELECT 1; DROP TABLE t', true],
    ['/* x */ -- y\n DeLeTe from t', true],
    ['with x as (select 1) delete from t', true],
    ['explain analyze delete from t', true],
    ['/*!50000 drop */ table t', true],
    ['(delete from t)', true],
    ["select 'delete from t'", false],
    ['select "drop" from t', false],
    ['select 1 -- ; drop table t', false],
    ['select dropped from t', false],
    ["select 'it''s; drop'", false],
    ['select 1 drop table t', true],
    ["select '\\'' ; drop table t -- '", true],
    ["select 1 # '\n; drop table t -- '", true],
    ['select 1--1; drop table t', true],
    ["select $a$ ' $a$; drop table t --'", true],
    ["select [ ' ]; drop table t --'", true],
    ['do $$ begin drop table t; end $$', true],
    ["execute immediate 'drop table t'", true],
    ["exec('drop table t')", true],
    ["set @s = 'drop table t'; prepare p from @s", true],
    ['merge into t using s on t.id = s.id when matched then delete', true],
    ['select * from t for no key update', false],
    ['create table t (a int references s on delete cascade)', false],
    ['select t.delete, :drop, @delete from t', false],
    ["select 'execute' from t where a = 'drop'", false],
  ])('the verbs of %s: %s', (query, isFound) => {
    expect(look({ path: '$.query', sql_verbs: ['delete', 'drop'], effect: 'block' }, args({ query })).outcome).toBe(
      isFound ? 'blocked' : 'passes',
    )
  })
})

test.each([
  [99, 'passes'],
  [400, 'blocked'],
])('of %d characters a rule for large messages says: %s', (length, outcome) => {
  expect(look({ larger_than: 200, effect: 'block' }, args({ a: 'x'.repeat(length) })).outcome).toBe(outcome)
})
