/** For tests only: an authorization server that asks what a test tells it to, and remembers the answers. */
import type { AuthorizationServer, ConsentQuestion, DeviceQuestion } from '../ports.ts'

export type MemoryServer = AuthorizationServer & {
  readonly questions: Map<string, ConsentQuestion>
  readonly devices: Map<string, DeviceQuestion>
  readonly answers: string[]
}

export function createMemoryServer(): MemoryServer {
  const questions = new Map<string, ConsentQuestion>()
  const devices: MemoryServer['devices'] = new Map()
  const answers: string[] = []
  const onward = (uid: string, query: string) => ({
    location: `${questions.get(uid)?.redirectUri}?${query}`,
    cookies: [],
  })
  return {
    questions,
    devices,
    answers,
    findInteraction: async (_, uid) => questions.get(uid) ?? null,
    allow: async (_, { uid, account }) => {
      answers.push(`allow ${uid} ${account.userId}`)
      return onward(uid, 'code=the-code')
    },
    deny: async (_, uid) => {
      answers.push(`deny ${uid}`)
      return onward(uid, 'error=access_denied')
    },
    findDevice: async (userCode) => devices.get(userCode) ?? null,
    allowDevice: async ({ userCode, account }) => void answers.push(`allow device ${userCode} ${account.userId}`),
    denyDevice: async (userCode) => void answers.push(`deny device ${userCode}`),
    grants: async () => [{ grantId: 'grant_1', name: 'Claude Code', gateways: ['finance'], grantedAt: Date.now() }],
    signOut: async () => void answers.push('sign out'),
    revokeGrant: async (_, grantId) => void answers.push(`revoke ${grantId}`),
    notices: async () => [],
    dismissNotice: async (_, id) => void answers.push(`dismiss ${id}`),
  }
}
