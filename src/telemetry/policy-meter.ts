import { Counter, Histogram, type Registry } from 'prom-client'

/** What decided: the gateway's door (`open`, `key`, `admin`), a grant, a rule in Cedar, a hook, or nothing, which is a no. */
export type DecisionReason = 'open' | 'key' | 'admin' | 'grant' | 'rule' | 'hook' | 'nothing'

/** What decided at the admin API: the token of the machine, the role, a rule, or nothing, which is a no. */
export type AdminReason = 'token' | 'role' | 'rule' | 'nothing'

/** What the policy does, in numbers. Decisions are counted at every call: that costs two look-ups. */
export type PolicyMeter = {
  /** One call was decided. */
  decided(effect: 'allow' | 'deny', reason: DecisionReason): void
  /** One use of the admin API was decided. */
  administered(module: string, effect: 'allow' | 'deny', reason: AdminReason): void
  /** Rules that are only tried would have said something else. */
  shadowDiffered(effect: 'allow' | 'deny'): void
  /** A question was answered by asking Cedar, and not from what is remembered. */
  asked(): void
  /** A question was answered from what is remembered. The most frequent of all: costs an addition. */
  remembered(): void
  /** All grants and rules were compiled anew. */
  rebuilt(seconds: number): void
}

export function createPolicyMeter(registry: Registry): PolicyMeter {
  const decisions = new Counter({
    name: 'gatehouse_policy_decisions_total',
    help: 'Calls that the policy decided, by effect and by what decided.',
    labelNames: ['effect', 'reason'],
    registers: [registry],
  })
  const administered = new Counter({
    name: 'gatehouse_policy_admin_decisions_total',
    help: 'Uses of the admin API that were decided, by module, effect and what decided.',
    labelNames: ['module', 'effect', 'reason'],
    registers: [registry],
  })
  const differences = new Counter({
    name: 'gatehouse_policy_shadow_differences_total',
    help: 'Calls and uses of the admin API that the rules in shadow would have decided otherwise, by what these say.',
    labelNames: ['effect'],
    registers: [registry],
  })
  const asked = new Counter({
    name: 'gatehouse_policy_cold_decisions_total',
    help: 'Questions that Cedar was asked, of calls, lists and the admin API: the first of its kind, or one that hangs on circumstances.',
    registers: [registry],
  })
  let warm = 0
  const remembered = new Counter({
    name: 'gatehouse_policy_warm_decisions_total',
    help: 'Questions, of calls and lists, that were answered from what is remembered.',
    registers: [registry],
    collect() {
      remembered.reset()
      remembered.inc(warm)
    },
  })
  const rebuilds = new Histogram({
    name: 'gatehouse_policy_rebuild_seconds',
    help: 'Time of compiling all grants and rules after a change.',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5],
    registers: [registry],
  })
  const children = new Map<string, ReturnType<typeof decisions.labels>>()
  return {
    decided: (effect, reason) => {
      const key = effect + reason
      const child = children.get(key) ?? decisions.labels(effect, reason)
      children.set(key, child)
      child.inc()
    },
    administered: (module, effect, reason) => administered.inc({ module, effect, reason }),
    shadowDiffered: (effect) => differences.inc({ effect }),
    asked: () => asked.inc(),
    remembered: () => void (warm += 1),
    rebuilt: (seconds) => rebuilds.observe(seconds),
  }
}
