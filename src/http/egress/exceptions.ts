import { domainToASCII } from 'node:url'
import ipaddr from 'ipaddr.js'
import { Problem } from '#kernel'
import { BAD_EXCEPTION } from './problems.ts'
import { addressBytes, isWithin } from './classify.ts'

/** What may be reached although the guard would refuse it. */
export type Exceptions = {
  /** Asked before DNS: the name itself is trusted, wherever it points. */
  allowsHost(host: string): boolean
  /** Asked after DNS, for each address. */
  allowsAddress(address: string): boolean
}

/**
 * Reads `allow_addresses`: `host` is that host alone, `*.suffix` every name below the suffix but not the suffix itself,
 * an address or CIDR that range. Throws a Problem quoting the entry that is none of these.
 */
export function parseExceptions(entries: readonly string[]): Exceptions {
  const hosts = new Set<string>()
  const suffixes: string[] = []
  const ranges: (readonly [Uint8Array, number])[] = []
  for (const entry of entries) {
    const cidr = parseRange(entry)
    if (cidr) ranges.push(cidr)
    else if (entry.startsWith('*.')) suffixes.push(`.${hostOf(entry.slice(2), entry)}`)
    else hosts.add(hostOf(entry, entry))
  }
  return {
    allowsHost: (host) => {
      const name = plainHost(host)
      return hosts.has(name) || suffixes.some((suffix) => name.length > suffix.length && name.endsWith(suffix))
    },
    allowsAddress: (address) => {
      const bytes = addressBytes(address)
      return bytes !== undefined && ranges.some(([network, bits]) => isWithin(bytes, network, bits))
    },
  }
}

/** A host name as it is compared: lower case, without brackets and without the root's dot. */
export function plainHost(host: string): string {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
  return bare.toLowerCase().replace(/\.$/, '')
}

function parseRange(entry: string): readonly [Uint8Array, number] | undefined {
  const single = addressBytes(entry)
  if (single) return [single, single.length * 8]
  if (!ipaddr.isValidCIDR(entry)) return undefined
  const [network, bits] = ipaddr.parseCIDR(entry)
  return [Uint8Array.from(network.toByteArray()), bits]
}

function hostOf(name: string, entry: string): string {
  // The URL parser's host rules cut off what follows these, so they are refused first.
  const ascii = /[/\\:@?#%\s]/.test(name) ? '' : domainToASCII(plainHost(name))
  if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(ascii)) {
    throw new Problem(
      BAD_EXCEPTION,
      `"${entry}" is no exception the address guard understands. Write a host (api.example.com), *.suffix (*.example.com) or a range (10.1.0.0/16).`,
    )
  }
  return ascii
}
