import type { Handlers } from '#http'
import type { contentContract } from './contract.ts'
import type { Content } from './service.ts'

/** Answers the operations of `contentContract`. */
export function contentRoutes(content: Content): Handlers<typeof contentContract> {
  return {
    listContentRules: () => ({ rules: content.listRules() }),
    getContentRule: ({ params }) => content.showRule(params.name),
    saveContentRule: ({ body }, { caller }) => content.saveRule(body, caller),
    removeContentRule: ({ params }, { caller }) => content.removeRule(params.name, caller),
    tryContentRules: ({ body }) => content.tryRules(body),
  }
}
