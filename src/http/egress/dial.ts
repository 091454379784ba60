import type { LookupFunction } from 'node:net'
import { isIP } from 'node:net'
import { lookup as systemLookup } from 'node:dns/promises'
import { callbackify } from 'node:util'
import { buildConnector } from 'undici'
import { Problem } from '#kernel'
import type { Log } from '#telemetry'
import type { EgressTls } from './egress.ts'
import { BLOCKED_ADDRESS } from './problems.ts'
import { type AddressClass, classifyAddress } from './classify.ts'
import { type Exceptions, plainHost } from './exceptions.ts'

/** Every address a name has now. Rejects when it has none. */
export type Resolve = (host: string) => Promise<readonly string[]>

export type Guard = {
  readonly resolve: Resolve
  readonly tls?: EgressTls | undefined
  /** Absent: the registration is trusted and may reach any address. */
  readonly exceptions: Exceptions | undefined
  readonly log: Log | undefined
}

const CONNECT_TIMEOUT_MS = 10_000
const MAX_DIALLED = 16

/**
 * Opens sockets for undici. A name is resolved once, each address is judged, and only addresses that passed are handed
 * to the socket: nothing asks DNS again between the check and the connect. TLS still names and verifies the host.
 */
export function createDialler(guard: Guard): buildConnector.connector {
  const { cert, key, ca } = guard.tls ?? {}
  const own = { ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) }
  const connect = buildConnector({
    ...own,
    ...(ca === undefined ? {} : { ca }),
    timeout: CONNECT_TIMEOUT_MS,
    allowH2: false,
    lookup: guardedLookup(guard),
    autoSelectFamily: true,
  })
  return (options, callback) => {
    // A literal address never reaches `lookup`, so it is judged here, before there is a socket.
    const blocked =
      isIP(plainHost(options.hostname)) === 0
        ? undefined
        : judge(guard, options.hostname, [plainHost(options.hostname)])
    if (blocked instanceof Problem) return callback(blocked, null)
    connect(options, callback)
  }
}

/** Finds the addresses of a name that may be dialled. Throws a Problem naming the host when there are only forbidden ones. */
async function permittedAddresses(guard: Guard, host: string): Promise<readonly string[]> {
  const name = plainHost(host)
  const found = isIP(name) === 0 ? await resolveName(guard, name) : [name]
  const permitted = judge(guard, host, found)
  if (permitted instanceof Problem) throw permitted
  return permitted.slice(0, MAX_DIALLED)
}

/** Every name's addresses as the system knows them: hosts file, then DNS. */
export const systemResolve: Resolve = async (host) =>
  (await systemLookup(host, { all: true })).map((entry) => entry.address)

async function resolveName(guard: Guard, name: string): Promise<readonly string[]> {
  // RFC 6761 §6.3: localhost is this machine, whatever DNS says.
  if (guard.exceptions && (name === 'localhost' || name.endsWith('.localhost'))) return ['127.0.0.1', '::1']
  const addresses = await guard.resolve(name)
  if (addresses.length === 0) throw new Error(`${name} has no address`)
  return addresses
}

function judge(guard: Guard, host: string, addresses: readonly string[]): readonly string[] | Problem {
  const { exceptions } = guard
  if (exceptions === undefined || exceptions.allowsHost(host)) return addresses
  const judged = addresses.map((address) => ({ address, kind: classifyAddress(address) }))
  const permitted = judged.filter(({ address, kind }) => kind === 'public' || exceptions.allowsAddress(address))
  if (permitted.length > 0) return permitted.map(({ address }) => address)
  const kind = judged[0]?.kind ?? 'not an address'
  guard.log?.warn({ host, addresses, addressClass: kind }, 'the address guard refused a connection')
  return blockedAddress(host, kind)
}

function blockedAddress(host: string, kind: AddressClass): Problem {
  return new Problem(
    BLOCKED_ADDRESS,
    `${describeHost(host)} that may not be reached from here (${kind}). An administrator can allow it: add the server with --allow ${plainHost(host)}, or write "${plainHost(host)}" or its address range into its allow_addresses.`,
    { host, addressClass: kind },
  )
}

function describeHost(host: string): string {
  return isIP(plainHost(host)) === 0 ? `${host} points to an address` : `${host} is an address`
}

function guardedLookup(guard: Guard): LookupFunction {
  const permitted = callbackify((host: string) => permittedAddresses(guard, host))
  return (host, options, callback) => {
    permitted(host, (error, addresses) => {
      if (error) return callback(error, '')
      const entries = addresses.map((address) => ({ address, family: isIP(address) }))
      if (options.all) return callback(null, entries)
      callback(null, entries[0]?.address ?? '', entries[0]?.family)
    })
  }
}
