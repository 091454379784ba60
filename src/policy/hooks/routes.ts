import type { Handlers } from '#http'
import type { hooksContract } from './contract.ts'
import type { Hooks } from './service.ts'

/** Answers the operations of `hooksContract`. */
export function hooksRoutes(hooks: Hooks): Handlers<typeof hooksContract> {
  return {
    listHooks: () => ({ hooks: hooks.listHooks() }),
    addHook: ({ body }, { caller }) => hooks.addHook(body, caller),
    checkHooks: async ({ body }) => ({ hooks: await hooks.checkHooks(body.name) }),
    removeHook: ({ params }, { caller }) => hooks.removeHook(params.name, caller),
  }
}
