import { expect, test } from 'vitest'
import { gatewayConfig } from './config.ts'

test.each<[unknown, string]>([
  [undefined, 'both'],
  ['key', 'key'],
  ['oauth', 'oauth'],
  ['both', 'both'],
  ['none', 'none'],
  [['key'], 'key'],
  [['oauth'], 'oauth'],
  [['key', 'oauth'], 'both'],
  [['oauth', 'key'], 'both'],
  [['key', 'key'], 'key'],
])('auth = %j is shown as "%s"', (auth, word) => {
  expect(gatewayConfig.parse({ slug: 'g', auth }).auth).toBe(word)
})

test.each([[[]], [['none']], [['key', 'none']], [['key', 'oauth', 'key']], [[['key']]], [''], ['KEY'], [null], [true]])(
  'auth = %j is refused',
  (auth) => {
    expect(gatewayConfig.safeParse({ slug: 'g', auth }).error?.issues).toMatchObject([{ path: ['auth'] }])
  },
)
