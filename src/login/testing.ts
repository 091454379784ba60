/** For tests only: a login policy over a fresh database. */
import { AUDIT_MIGRATIONS, createAudit, type Audit } from '#audit'
import type { Member } from '#identity'
import { SILENT } from '../audit/testing.ts'
import { openTestStorage, type TestEngine } from '../storage/testing.ts'
import { createLoginPolicy, loginPolicyConfig, LOGIN_MIGRATIONS, type LoginPolicy } from './index.ts'

export type TestLoginPolicy = {
  readonly policy: LoginPolicy
  readonly audit: Audit
  openReplica(): Promise<LoginPolicy>
  [Symbol.asyncDispose](): Promise<void>
}

export async function openTestLoginPolicy(options: {
  engine: TestEngine
  config?: Parameters<typeof loginPolicyConfig.parse>[0]
  members?: readonly Member[]
}): Promise<TestLoginPolicy> {
  const { engine, members = [] } = options
  const place = await openTestStorage({ engine, migrations: { ...AUDIT_MIGRATIONS, ...LOGIN_MIGRATIONS } })
  const clock = { now: () => 1_790_000_000_000 }
  const audit = await createAudit({ storage: place.storage, clock, log: SILENT, dataDir: place.place.dataDir })
  const config = loginPolicyConfig.parse(options.config ?? {})
  const findMember = (userId: string) => members.find((member) => member.userId === userId) ?? null
  const opened: LoginPolicy[] = []
  const open = async (storage: typeof place.storage) => {
    const policy = await createLoginPolicy({ storage, clock, audit, log: SILENT, config, findMember })
    opened.push(policy)
    return policy
  }
  return {
    policy: await open(place.storage),
    audit,
    openReplica: async () => open(engine === 'postgres' ? await place.openReplica() : place.storage),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(opened.map((policy) => policy.close()))
      await audit.close()
      await place.close()
    },
  }
}

export function member(userId: string, more: Partial<Member> = {}): Member {
  const plain = { kind: 'person', role: 'user', groups: [], claims: {}, isActive: true } as const
  return { accountId: `acc_${userId}`, userId, ...plain, ...more }
}
