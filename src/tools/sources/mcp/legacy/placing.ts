import { hash } from 'node:crypto'
import { canonicalJson, type JsonObject } from '#kernel'
import type { StdioServerConfig } from '../../../config.ts'
import type { CallerSession } from '../../../source.ts'
import { ALL_CAPABILITIES, legacyCapabilities } from './capabilities.ts'

/** As whom we introduce ourselves. */
export type Introduction = { readonly clientInfo: JsonObject; readonly capabilities: JsonObject }

/** An open conversation, as far as placing looks at it. */
export type Load = { readonly key: string; readonly callCount: number }

/** Who may share a conversation with a server. */
export type Placing = {
  /** The key of the conversation in which a caller's calls run. */
  place(caller: CallerSession, open: () => readonly Load[]): string
  /** The user whose share of the server's conversations it takes; nobody's where all share them. */
  ownerOf(caller: CallerSession): string | undefined
  /** As whom that conversation is opened. */
  introduce(caller: CallerSession): Introduction
  /** A conversation belongs to one caller session, whose key is its key. */
  readonly isExclusive: boolean
  readonly isProcess: boolean
  /** Where lists are asked for. */
  readonly probeKey: string
  /** The probe has a place of its own, outside the limit, and stays to hear of changes. */
  readonly keepsProbe: boolean
}

/** Each caller session has its own. */
export const ONE_EACH: Placing = {
  place: ownPlace,
  ownerOf: userOf,
  introduce: asCaller,
  isExclusive: true,
  isProcess: false,
  probeKey: 'probe',
  keepsProbe: true,
}

/** As `isolation` of a child process says. */
export function placingOf(config: StdioServerConfig, house: JsonObject): Placing {
  const common = {
    introduce: asCaller,
    ownerOf: userOf,
    isExclusive: false,
    isProcess: true,
    probeKey: 'probe',
    keepsProbe: false,
  }
  switch (config.isolation) {
    case 'session':
      return { ...common, place: ownPlace, isExclusive: true }
    case 'user':
      return { ...common, place: placeOfUser }
    case 'shared': {
      const place: Placing['place'] = (_caller, open) => leastLoaded(open(), config.max_processes)
      const introduce = () => ({ clientInfo: house, capabilities: ALL_CAPABILITIES })
      return { ...common, place, introduce, ownerOf: () => undefined, probeKey: sharedKey(0) }
    }
  }
}

function ownPlace(caller: CallerSession): string {
  return caller.key
}

function userOf(caller: CallerSession): string {
  return caller.userId
}

function asCaller(caller: CallerSession): Introduction {
  return { clientInfo: caller.clientInfo, capabilities: legacyCapabilities(caller) }
}

/** What a server may ask differs with the capabilities, so equal ones of one user share. */
function placeOfUser(caller: CallerSession): string {
  const digest = hash('sha256', canonicalJson(legacyCapabilities(caller)), 'base64url').slice(0, 16)
  return `${caller.userId}#${digest}`
}

/** A free one, else a new one while there may be more, else the one with the fewest calls. */
function leastLoaded(open: readonly Load[], max: number): string {
  const free = open.find((conversation) => conversation.callCount === 0)
  if (free !== undefined) return free.key
  const taken = new Set(open.map(({ key }) => key))
  for (let index = 0; index < max; index += 1) if (!taken.has(sharedKey(index))) return sharedKey(index)
  const [least] = open.toSorted((a, b) => a.callCount - b.callCount)
  return least?.key ?? sharedKey(0)
}

function sharedKey(index: number): string {
  return `shared-${index}`
}
