import { Problem, type JsonObject } from '#kernel'
import type { Identify } from '../../../source.ts'
import { CLIENT_REFUSED } from '../../../problems.ts'
import { objectAt, stringAt } from '../json.ts'
import type { Link, LinkEvents, OpenLink } from '../link.ts'
import { brokenReply } from '../reasons.ts'
import { WrongEra } from '../wrong-era.ts'
import { LEGACY_VERSIONS } from './capabilities.ts'
import { soundClientInfo } from './sound-client.ts'

export type Handshake = {
  readonly key: string
  readonly clientInfo: JsonObject
  readonly capabilities: JsonObject
  readonly signal: AbortSignal
  readonly events: LinkEvents
  readonly identity?: Identify | undefined
}

/** A link on which both sides have introduced themselves. */
export type Introduced = {
  readonly link: Link
  readonly version: string
  readonly serverInfo: JsonObject
  readonly capabilities: JsonObject
  readonly instructions: string | undefined
}

const UNSUPPORTED_VERSION = -32022

/** Opens a link and does `initialize` on it. Throws `WrongEra` when the server knows only the stateless era. */
export async function introduce(server: string, openLink: OpenLink, hand: Handshake): Promise<Introduced> {
  const { key, signal, events, identity } = hand
  const link = await openLink({ key, signal, events, identity })
  try {
    return await initialize(server, link, hand)
  } catch (error) {
    await link.close()
    throw error
  }
}

async function initialize(server: string, link: Link, hand: Handshake): Promise<Introduced> {
  const { clientInfo, capabilities, signal } = hand
  const params = { protocolVersion: LEGACY_VERSIONS[0], capabilities, clientInfo: soundClientInfo(clientInfo) }
  const response = await link.request({ method: 'initialize', params, signal })
  if ('error' in response) {
    if (response.error.code === UNSUPPORTED_VERSION) throw new WrongEra(server)
    throw new Problem(
      CLIENT_REFUSED,
      `server "${server}" refused to begin a session: ${response.error.message.slice(0, 200)}`,
    )
  }
  const result = response.result.value()
  const version = stringAt(result, 'protocolVersion')
  if (version === undefined || !LEGACY_VERSIONS.includes(version)) {
    throw brokenReply(server, `speaks the unknown protocol version "${String(version).slice(0, 32)}"`)
  }
  await link.send({ method: 'notifications/initialized' })
  return {
    link,
    version,
    serverInfo: objectAt(result, 'serverInfo'),
    capabilities: objectAt(result, 'capabilities'),
    instructions: stringAt(result, 'instructions'),
  }
}
