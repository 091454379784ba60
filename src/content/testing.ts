/** For tests only: the room over a fresh database. */
import { AUDIT_MIGRATIONS, createAudit, type Audit } from '#audit'
import { SILENT } from '../audit/testing.ts'
import { openTestStorage, type TestEngine } from '../storage/testing.ts'
import { CONTENT_MIGRATIONS, createContent, type Content } from './index.ts'
import { contentRule, type ContentRuleInput } from './schema.ts'
import type { Subject } from './scope.ts'

export type TestContent = {
  readonly content: Content
  readonly audit: Audit
  /** Another replica over the same database. */
  openReplica(): Promise<Content>
  [Symbol.asyncDispose](): Promise<void>
}

export const ACTOR = { userId: 'admin', keyId: null, face: 'cli' } as const

export const ALICE: Subject = {
  gateway: 'demo',
  server: { name: 'crm', tags: ['sales'] },
  thing: 'get_customer',
  user: { userId: 'alice@example.com', groups: ['support'] },
}

export async function openTestContent(
  engine: TestEngine,
  declared: readonly ContentRuleInput[] = [],
): Promise<TestContent> {
  const place = await openTestStorage({ engine, migrations: { ...AUDIT_MIGRATIONS, ...CONTENT_MIGRATIONS } })
  const clock = { now: () => 1_790_000_000_000 }
  const audit = await createAudit({ storage: place.storage, clock, log: SILENT, dataDir: place.place.dataDir })
  const opened: Content[] = []
  const open = async (storage: typeof place.storage) => {
    const rules = declared.map((rule) => contentRule.parse(rule))
    const content = await createContent({ storage, clock, audit, log: SILENT, declared: rules })
    opened.push(content)
    return content
  }
  return {
    content: await open(place.storage),
    audit,
    // SQLite is for one process: there, the other replica shares its storage.
    openReplica: async () => open(engine === 'postgres' ? await place.openReplica() : place.storage),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(opened.map((content) => content.close()))
      await audit.close()
      await place.close()
    },
  }
}
