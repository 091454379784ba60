import ipaddr from 'ipaddr.js'

/** What an address is for. Only `public` ones may be dialled on behalf of others. */
export type AddressClass =
  | 'public'
  | 'loopback'
  | 'private'
  | 'link-local'
  | 'carrier-grade NAT'
  | 'unique local'
  | 'multicast'
  | 'broadcast'
  | 'unspecified'
  | 'cloud metadata'
  | 'documentation'
  | 'benchmarking'
  | 'reserved'
  | 'IPv4-mapped'
  | 'not an address'

type Address = ReturnType<typeof ipaddr.parse>
type Range = readonly [network: Uint8Array, bits: number, kind: AddressClass]

/**
 * Says what an IP address is for, in any spelling a URL or a resolver may give it: dotted, hexadecimal, octal, short or
 * as one number; IPv6 in brackets, with a zone or with an IPv4 tail. An IPv6 form that carries an IPv4 address to
 * another network (NAT64, 6to4, Teredo, mapped) is judged by what it carries. Anything unreadable is `not an address`.
 */
export function classifyAddress(text: string): AddressClass {
  const bytes = addressBytes(text)
  return bytes === undefined ? 'not an address' : classifyBytes(bytes)
}

/** The address's 4 or 16 bytes, or nothing when the text is no address. IPv4-mapped IPv6 keeps its 16. */
export function addressBytes(text: string): Uint8Array | undefined {
  const address = parseAddress(text)
  return address && Uint8Array.from(address.toByteArray())
}

function parseAddress(text: string): Address | undefined {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  if (bare.length === 0 || bare.length > 128) return undefined
  try {
    return ipaddr.parse(bare)
  } catch {
    return undefined
  }
}

function classifyBytes(bytes: Uint8Array): AddressClass {
  return bytes.length === 4 ? classifyV4(bytes) : classifyV6(bytes)
}

function classifyV4(bytes: Uint8Array): AddressClass {
  return V4.find(([network, bits]) => isWithin(bytes, network, bits))?.[2] ?? 'public'
}

function classifyV6(bytes: Uint8Array): AddressClass {
  for (const [network, bits, carried] of CARRIERS) {
    if (isWithin(bytes, network, bits)) return classifyCarried(carried(bytes))
  }
  const known = V6.find(([network, bits]) => isWithin(bytes, network, bits))
  if (known) return known[2]
  return isWithin(bytes, GLOBAL_UNICAST, 3) ? 'public' : 'reserved'
}

/** An address is as bad as the worst it carries. */
function classifyCarried(carried: readonly Uint8Array[]): AddressClass {
  return carried.map(classifyV4).find((kind) => kind !== 'public') ?? 'public'
}

/** True when the first `bits` bits are those of the network. Families never match each other. */
export function isWithin(bytes: Uint8Array, network: Uint8Array, bits: number): boolean {
  if (bytes.length !== network.length) return false
  const whole = bits >> 3
  for (let at = 0; at < whole; at++) if (bytes[at] !== network[at]) return false
  const rest = bits & 7
  if (rest === 0) return true
  const mask = (0xff << (8 - rest)) & 0xff
  return ((bytes[whole] ?? 0) & mask) === ((network[whole] ?? 0) & mask)
}

function range(cidr: string, kind: AddressClass): Range {
  const [address, bits] = ipaddr.parseCIDR(cidr)
  return [Uint8Array.from(address.toByteArray()), bits, kind]
}

/** IANA IPv4 special-purpose registry, narrowest first where ranges overlap. */
const V4: readonly Range[] = [
  range('127.0.0.0/8', 'loopback'),
  range('10.0.0.0/8', 'private'),
  range('172.16.0.0/12', 'private'),
  range('192.168.0.0/16', 'private'),
  range('169.254.0.0/16', 'link-local'),
  range('100.64.0.0/10', 'carrier-grade NAT'),
  range('0.0.0.0/32', 'unspecified'),
  range('0.0.0.0/8', 'reserved'),
  range('255.255.255.255/32', 'broadcast'),
  range('224.0.0.0/4', 'multicast'),
  range('240.0.0.0/4', 'reserved'),
  range('192.0.2.0/24', 'documentation'),
  range('198.51.100.0/24', 'documentation'),
  range('203.0.113.0/24', 'documentation'),
  range('198.18.0.0/15', 'benchmarking'),
  range('192.0.0.0/24', 'reserved'),
  range('192.88.99.0/24', 'reserved'),
  // Azure's host agent answers on an address that is public by its number.
  range('168.63.129.16/32', 'cloud metadata'),
]

const GLOBAL_UNICAST = Uint8Array.from([0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])

/** IANA IPv6 special-purpose registry. Outside 2000::/3 nothing is public, so only names for the refusal are listed there. */
const V6: readonly Range[] = [
  range('::1/128', 'loopback'),
  range('::/128', 'unspecified'),
  range('::/96', 'IPv4-mapped'),
  range('::ffff:0:0/96', 'IPv4-mapped'),
  range('fe80::/10', 'link-local'),
  range('fec0::/10', 'private'),
  range('fc00::/7', 'unique local'),
  range('ff00::/8', 'multicast'),
  range('64:ff9b:1::/48', 'private'),
  range('2001:db8::/32', 'documentation'),
  range('3fff::/20', 'documentation'),
  range('2001:2::/48', 'benchmarking'),
  range('2001::/23', 'reserved'),
]

type Carrier = readonly [network: Uint8Array, bits: number, carried: (bytes: Uint8Array) => readonly Uint8Array[]]

const CARRIERS: readonly Carrier[] = [
  // RFC 6052: NAT64's well-known prefix ends with the IPv4 address.
  carrier('64:ff9b::/96', (bytes) => [bytes.subarray(12)]),
  // RFC 3056: 6to4 has it right after the prefix.
  carrier('2002::/16', (bytes) => [bytes.subarray(2, 6)]),
  // RFC 4380: Teredo has the server's, and the client's with every bit turned over.
  carrier('2001::/32', (bytes) => [bytes.subarray(4, 8), bytes.subarray(12).map((byte) => byte ^ 0xff)]),
]

function carrier(cidr: string, carried: Carrier[2]): Carrier {
  const [network, bits] = range(cidr, 'reserved')
  return [network, bits, carried]
}
