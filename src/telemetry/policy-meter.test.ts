import { expect, test } from 'vitest'
import { createMetrics } from './metrics.ts'

test('the policy is counted by effect and by what decided, and no id is ever a label', async () => {
  const metrics = createMetrics()
  const { policy } = metrics

  policy.decided('allow', 'grant')
  policy.decided('allow', 'grant')
  policy.decided('deny', 'nothing')
  policy.administered('audit', 'allow', 'rule')
  policy.shadowDiffered('deny')
  policy.asked()
  for (let times = 0; times < 3; times += 1) policy.remembered()
  policy.rebuilt(0.002)
  const lines = (await metrics.render()).split('\n').filter((line) => line.startsWith('gatehouse_policy_'))

  expect(lines.filter((line) => line.includes('_total'))).toEqual([
    'gatehouse_policy_decisions_total{effect="allow",reason="grant"} 2',
    'gatehouse_policy_decisions_total{effect="deny",reason="nothing"} 1',
    'gatehouse_policy_admin_decisions_total{module="audit",effect="allow",reason="rule"} 1',
    'gatehouse_policy_shadow_differences_total{effect="deny"} 1',
    'gatehouse_policy_cold_decisions_total 1',
    'gatehouse_policy_warm_decisions_total 3',
  ])
  expect(lines).toContain('gatehouse_policy_rebuild_seconds_bucket{le="0.0025"} 1')
})
