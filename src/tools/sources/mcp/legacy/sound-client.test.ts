import { expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { soundCapabilities, soundClientInfo } from './sound-client.ts'

test('what a caller says rightly about itself reaches the server unchanged', () => {
  const info = { name: 'a', version: '1', title: 'A', icons: [{ src: 'https://a/i.png' }], other: { x: 1 } }
  const capabilities = {
    roots: { listChanged: true },
    sampling: { tools: {}, context: {} },
    elicitation: { form: { applyDefaults: true }, url: {} },
    extensions: { 'io.example/x': { on: true } },
  }

  expect(soundClientInfo(info)).toEqual(info)
  expect(soundCapabilities(capabilities)).toEqual(capabilities)
})

test.each<[JsonObject, JsonObject]>([
  [{ name: 5 }, { name: 'unknown', version: '0' }],
  [
    { version: null, name: 'a', icons: 'x' },
    { name: 'a', version: '0' },
  ],
])('of the client info %o the server sees %o', (said, seen) => {
  expect(soundClientInfo(said)).toEqual(seen)
})

test.each<[JsonObject, JsonObject]>([
  [{ roots: 'all', sampling: [] }, {}],
  [{ roots: { listChanged: 'yes' } }, { roots: {} }],
  [{ elicitation: { form: { applyDefaults: 'x' }, url: 1 } }, { elicitation: {} }],
])('of the capabilities %o the server sees %o', (declared, seen) => {
  expect(soundCapabilities(declared)).toEqual(seen)
})
