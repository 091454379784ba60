import type { AdminCaller, Handlers } from '#http'
import type { Identity } from '#identity'
import type { ToolsAdmin } from './admin.ts'
import type { toolsContract } from './contract.ts'
import type { House } from './house.ts'
import { callByRest, listByRest, noSuchGateway } from './rest.ts'
import type { Tools } from './tools.ts'

export type ToolsRoutesDeps = {
  readonly tools: Tools
  readonly toolsAdmin: ToolsAdmin
  readonly house: Pick<House, 'snapshot'>
  readonly identity: Pick<Identity, 'principal'>
}

/** Answers the operations of `toolsContract`. */
export function toolsRoutes(deps: ToolsRoutesDeps): Handlers<typeof toolsContract> {
  const { toolsAdmin } = deps
  return {
    listServers: () => ({ servers: toolsAdmin.listServers() }),
    addServer: ({ body }, { caller }) => toolsAdmin.addServer(caller, body),
    replaceServer: ({ params, body }, { caller }) => toolsAdmin.replaceServer(caller, params.name, body),
    removeServer: ({ params }, { caller }) => toolsAdmin.removeServer(caller, params.name),
    checkServer: ({ params }) => toolsAdmin.checkServer(params.name),
    probeServer: ({ params }, { caller }) => toolsAdmin.probeServer(caller, params.name),
    listGateways: () => ({ gateways: toolsAdmin.listGateways() }),
    getGateway: ({ params }) => findGateway(toolsAdmin, params.slug),
    saveGateway: ({ body }, { caller }) => saveGateway(toolsAdmin, caller, body),
    removeGateway: ({ params }, { caller }) => toolsAdmin.removeGateway(caller, params.slug),
    listGatewayTools: ({ params, query }, context) => listByRest(deps, { ...params, ...query }, context),
    callTool: ({ params, body }, context) => callByRest(deps, { ...params, ...body }, context),
    listChanges: async ({ query: { limit, server, state } }) => ({
      changes: await toolsAdmin.listChanges({
        limit,
        ...(server === undefined ? {} : { server }),
        ...(state === undefined ? {} : { state }),
      }),
    }),
    acceptChange: ({ params }, { caller }) => toolsAdmin.decideChange(caller, { ...params, accept: true }),
    rejectChange: ({ params }, { caller }) => toolsAdmin.decideChange(caller, { ...params, accept: false }),
  }
}

async function saveGateway(toolsAdmin: ToolsAdmin, caller: AdminCaller, body: { slug: string }) {
  await toolsAdmin.addGateway(caller, body)
  return findGateway(toolsAdmin, body.slug)
}

function findGateway(toolsAdmin: ToolsAdmin, slug: string) {
  const found = toolsAdmin.listGateways().find((gateway) => gateway.slug === slug)
  if (!found) throw noSuchGateway(slug)
  return found
}
