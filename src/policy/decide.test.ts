import { expect, test } from 'vitest'
import { createPolicy } from './decide.ts'

const resource = { gateway: 'demo', server: 'files', name: 'read' }

test.each([
  [['demo'], 'allow', 'gateway-key'],
  [['*'], 'allow', 'gateway-key'],
  [['other'], 'deny', null],
  [[], 'deny', null],
])('a key for %j gets %s', (gateways, effect, rule) => {
  const verdict = createPolicy().decide({
    principal: { userId: 'a', keyId: 'key_1', gateways },
    action: 'call',
    resource,
  })

  expect(verdict).toMatchObject({ effect, rule })
})

test.each([
  [['*'], 'allow', 'admin'],
  [['demo'], 'allow', 'gateway-open'],
  [['other'], 'deny', null],
])('without a key, somebody let in to %j gets %s', (gateways, effect, rule) => {
  const verdict = createPolicy().decide({ principal: { userId: 'a', keyId: null, gateways }, action: 'call', resource })

  expect(verdict).toMatchObject({ effect, rule })
})
