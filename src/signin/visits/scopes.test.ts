import { expect, test } from 'vitest'
import { describeScopes } from './scopes.ts'

const DEMO = { slug: 'demo', title: 'Demo', scopes: [{ scope: 'mcp:delete', allows: 'Delete repositories' }] }

test('a person reads what a further scope of the gateway allows, in its operator’s words', () => {
  expect(describeScopes(['mcp', 'mcp:delete', 'offline_access'], DEMO)).toEqual([
    'Use every tool of Demo that you may use, except those that need a permission of their own',
    'Delete repositories',
    'Stay connected until you disconnect it',
  ])
})

test('a scope that the gateway does not have is shown as it is, and not in the words of an other gateway', () => {
  expect(describeScopes(['mcp:delete'], { ...DEMO, scopes: [] })).toEqual(['Use “mcp:delete”'])
  expect(describeScopes(['constructor'], null)).toEqual(['Use “constructor”'])
})
