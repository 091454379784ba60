import type { HookSaid } from '../hooks/question.ts'
import type { Hooks } from '../hooks/service.ts'
import type { PolicyRoom } from '../service.ts'
import { explainRequest, type Explanation, type ExplainRequest, type ExplanationWithHooks } from './schema.ts'

type Deps = {
  readonly policy: Pick<PolicyRoom, 'explain'>
  readonly hooks: Pick<Hooks, 'concerning' | 'question'>
}

/** The explanation by rules, with the hooks that stand behind them. They are asked only on demand, and after a yes. */
export async function explainWithHooks(deps: Deps, request: ExplainRequest): Promise<ExplanationWithHooks> {
  const { askHooks, args } = explainRequest.parse(request)
  const told = await deps.policy.explain(request)
  const thing = { ...told.thing, gateway: told.gateway }
  const isAsked = askHooks && told.effect === 'allow'
  const said = isAsked ? await deps.hooks.question({ ...thing, userId: told.user, args }) : []
  const hooks = deps.hooks.concerning(thing).map(({ name, points, failure }) => {
    const own = said.filter(({ hook }) => hook === name)
    return { name, points, failure, said: own.map(({ point, outcome, words }) => ({ point, outcome, words })) }
  })
  const no = said.find(({ isNo }) => isNo)
  return { ...(no === undefined ? told : refusedBy(told, no)), hooks }
}

function refusedBy(told: Explanation, { hook, point, outcome, words }: HookSaid): Explanation {
  const { kind, server, name } = told.thing
  const isMute = outcome === 'failed' || outcome === 'resting'
  const why = isMute && point === 'access' ? `the hook "${hook}" has to agree, and ${words}` : words
  return {
    ...told,
    effect: 'deny',
    approval: null,
    summary: `${told.user} may not use ${kind} ${server}/${name} at ${told.gateway}: the rules allow it, but not the hook "${hook}".`,
    deciding: [{ id: `hook:${hook}`, words: why }, ...told.deciding],
    advice: [`The hook "${hook}" would have to say yes`],
  }
}
