import { expect, test } from 'vitest'
import { guardBrowser } from './guard-browser.ts'

const ours = 'https://tools.example'
const rules = { publicUrl: () => ours, origins: ['https://desk.example'] }

test.each<[what: string, isLoopbackListener: boolean, headers: Record<string, string>]>([
  ['a program', true, { host: '127.0.0.1:8600' }],
  ['a caller in this process', true, {}],
  ['a program that uses the public name', true, { host: 'tools.example' }],
  ['IPv6 loopback', true, { host: '[::1]:8600' }],
  ['our own page', true, { host: 'localhost:8600', origin: 'http://localhost:8600' }],
  ['our own page under the public name', true, { host: '127.0.0.1:8600', origin: ours }],
  ['an allowed page', true, { host: '127.0.0.1:8600', origin: 'https://desk.example' }],
  ['any name where others may connect', false, { host: 'whatever.internal' }],
])('%s is let in', (_, isLoopbackListener, headers) => {
  const request = new Request('http://x/', { headers })

  expect(() => guardBrowser(request, { ...rules, isLoopbackListener })).not.toThrow()
})

test.each<[what: string, isLoopbackListener: boolean, headers: Record<string, string>]>([
  ['a name that was rebound to this machine', true, { host: 'evil.example:8600' }],
  ['… with its own page', true, { host: 'evil.example:8600', origin: 'http://evil.example:8600' }],
  ['a name that begins like ours', true, { host: '127.0.0.1.evil.example' }],
  [
    'a rebound name from this machine, where others may connect too',
    false,
    { host: 'evil.example:8600', 'gatehouse-peer-address': '127.0.0.1' },
  ],
  ['another page', true, { host: '127.0.0.1:8600', origin: 'https://evil.example' }],
  ['another page of this machine', true, { host: '127.0.0.1:8600', origin: 'http://localhost:3000' }],
  ['a sandboxed page', false, { host: 'tools.example', origin: 'null' }],
])('%s is refused', (_, isLoopbackListener, headers) => {
  const request = new Request('http://x/', { headers })

  expect(() => guardBrowser(request, { ...rules, isLoopbackListener })).toThrow(/is not a name|may not use/)
})
