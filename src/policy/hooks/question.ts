import { newId, Problem, type JsonObject } from '#kernel'
import { askAccess } from './access.ts'
import { askBefore, type ChainDeps, type HookedCall, type HookOutcome } from './chain.ts'
import type { Hook } from './hook.ts'
import type { HookedTool } from './scope.ts'

/** A call that nobody makes, as hooks are told of it. */
export type Supposed = {
  readonly tool: HookedTool
  readonly user: { readonly userId: string; readonly groups: readonly string[] }
  /** All that the gateway shows, of which hooks are asked together. */
  readonly tools: readonly HookedTool[]
  /** Without, hooks that look at arguments are not asked. */
  readonly inputs: JsonObject | null
  readonly secrets: readonly string[]
}

export type HookSaid = {
  readonly hook: string
  readonly point: 'access' | 'pre'
  readonly outcome: HookOutcome
  /** In words; empty where it agreed. */
  readonly words: string
  /** It ends there: no call would go on. */
  readonly isNo: boolean
}

/**
 * Asks hooks, in their order and up to the first no, what they would say. What they answer is neither kept nor counted,
 * and they are told that it is a question only.
 */
export async function askQuestion(hooks: readonly Hook[], supposed: Supposed): Promise<HookSaid[]> {
  const at = (point: 'access' | 'pre') => hooks.filter(({ config }) => config.points.includes(point))
  const said = await askWhetherShown(at('access'), supposed)
  if (supposed.inputs === null || said.some(({ isNo }) => isNo)) return said
  return [...said, ...(await askWhetherCalled(at('pre'), supposed, supposed.inputs))]
}

async function askWhetherShown(hooks: readonly Hook[], { tool, tools, user }: Supposed): Promise<HookSaid[]> {
  const said: HookSaid[] = []
  let left = tools
  for (const hook of hooks.filter((each) => each.covers(tool))) {
    const concerned = left.filter((one) => hook.covers(one))
    const answer = await askAccess(hook, { userId: user.userId, tools: concerned, isQuestion: true })
    const isNo = answer.refused.some(({ server, name }) => server === tool.server && name === tool.name)
    const outcome = answer.reason !== '' ? answer.outcome : isNo ? 'denied' : 'agreed'
    const words = answer.reason || (isNo ? 'it does not show the tool' : '')
    said.push({ hook: hook.config.name, point: 'access', outcome, words, isNo })
    if (isNo) break
    left = left.filter((one) => !answer.refused.includes(one))
  }
  return said
}

const UNCOUNTED: ChainDeps = { log: { warn: () => {} }, metrics: { hook: () => {} } }

async function askWhetherCalled(hooks: readonly Hook[], supposed: Supposed, sent: JsonObject): Promise<HookSaid[]> {
  const said: HookSaid[] = []
  let inputs = sent
  for (const hook of hooks.filter((each) => each.covers(supposed.tool))) {
    let heard: HookOutcome = 'failed'
    const call = callOf(supposed, inputs, (outcome) => (heard = outcome))
    const one = { hook: hook.config.name, point: 'pre' } as const
    try {
      inputs = await askBefore(UNCOUNTED, [hook], call)
      said.push({ ...one, outcome: heard, words: WORDS[heard] ?? '', isNo: false })
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      said.push({ ...one, outcome: heard, words: error.message, isNo: true })
      break
    }
  }
  return said
}

const WORDS: Readonly<Partial<Record<HookOutcome, string>>> = {
  changed: 'it puts other arguments in the place of these',
  failed: 'it could not be asked, and calls go on without it',
}

function callOf(
  { tool, user, secrets }: Supposed,
  inputs: JsonObject,
  heard: (outcome: HookOutcome) => void,
): HookedCall {
  const metadata = { gateway: tool.gateway, client: '', groups: user.groups, trace_id: '' }
  return {
    executionId: newId('exec'),
    tool,
    inputs,
    context: { authorization: [], secrets, metadata, user_id: user.userId },
    signal: new AbortController().signal,
    isQuestion: true,
    note: ({ outcome }) => heard(outcome),
  }
}
