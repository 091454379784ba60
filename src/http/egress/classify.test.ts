import { BlockList } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { classifyAddress } from './classify.ts'

/** Written down apart from the code: what may never be dialled for others. */
const FORBIDDEN_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '168.63.129.16/32',
]
const FORBIDDEN_V6 = [
  '::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
  '64:ff9b:1::/48',
  '100::/64',
  '2001:2::/48',
  '2001:10::/28',
  '2001:20::/28',
  '2001:db8::/32',
  '3fff::/20',
  '5f00::/16',
]

describe('classifyAddress', () => {
  it.each([
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['0x7f.1', 'loopback'],
    ['0177.0.0.1', 'loopback'],
    ['2130706433', 'loopback'],
    ['0x7f000001', 'loopback'],
    ['127.1', 'loopback'],
    ['10.255.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.0.1', 'private'],
    ['169.254.169.254', 'link-local'],
    ['100.100.100.200', 'carrier-grade NAT'],
    ['168.63.129.16', 'cloud metadata'],
    ['0.0.0.0', 'unspecified'],
    ['255.255.255.255', 'broadcast'],
    ['239.1.2.3', 'multicast'],
    ['198.19.0.1', 'benchmarking'],
    ['203.0.113.9', 'documentation'],
    ['::1', 'loopback'],
    ['[::1]', 'loopback'],
    ['0:0:0:0:0:0:0:1', 'loopback'],
    ['::', 'unspecified'],
    ['fe80::1%eth0', 'link-local'],
    ['fd00:ec2::254', 'unique local'],
    ['::ffff:127.0.0.1', 'IPv4-mapped'],
    ['::ffff:7f00:1', 'IPv4-mapped'],
    ['::127.0.0.1', 'IPv4-mapped'],
    ['64:ff9b::10.0.0.1', 'private'],
    ['64:ff9b::8.8.8.8', 'public'],
    ['2002:7f00:1::', 'loopback'],
    ['2002:0808:0808::1', 'public'],
    ['2001:0:808:808::f5ff:fffe', 'private'],
    ['2001:0:a00:1::f7f7:f7f7', 'private'],
    ['2001:db8::1', 'documentation'],
    ['4000::1', 'reserved'],
    ['8.8.8.8', 'public'],
    ['2606:4700:4700::1111', 'public'],
    ['172.32.0.1', 'public'],
    ['100.128.0.1', 'public'],
    ['', 'not an address'],
    ['example.com', 'not an address'],
    ['256.1.1.1.1', 'not an address'],
    ['1::2::3', 'not an address'],
  ])('calls %s %s', (address, kind) => {
    expect(classifyAddress(address)).toBe(kind)
  })

  it('never calls a forbidden IPv4 address public, however it is spelt', () => {
    fc.assert(
      fc.property(addressIn(FORBIDDEN_V4, 32), spellingOfV4, (address, spell) => {
        expect(classifyAddress(spell(Number(address)))).not.toMatch(/public|not an address/)
      }),
      { numRuns: 3_000 },
    )
  })

  it('never calls a forbidden IPv4 address public after the URL parser has read it', () => {
    fc.assert(
      fc.property(addressIn(FORBIDDEN_V4, 32), spellingOfV4, (address, spell) => {
        const { hostname } = new URL(`http://${spell(Number(address))}/`)

        expect(classifyAddress(hostname)).not.toMatch(/public|not an address/)
      }),
      { numRuns: 1_000 },
    )
  })

  it('never calls a forbidden IPv6 address public, however it is spelt', () => {
    fc.assert(
      fc.property(addressIn(FORBIDDEN_V6, 128), spellingOfV6, (address, spell) => {
        expect(classifyAddress(spell(address))).not.toMatch(/public|not an address/)
      }),
      { numRuns: 3_000 },
    )
  })

  it('never calls an IPv6 address public that carries a forbidden IPv4 one', () => {
    fc.assert(
      fc.property(addressIn(FORBIDDEN_V4, 32), embedding, spellingOfV6, (address, embed, spell) => {
        expect(classifyAddress(spell(embed(address)))).not.toMatch(/public|not an address/)
      }),
      { numRuns: 3_000 },
    )
  })

  it('calls every other IPv4 address public', () => {
    const forbidden = blockList(FORBIDDEN_V4, 'ipv4')
    fc.assert(
      fc.property(fc.nat({ max: 0xffff_ffff }), spellingOfV4, (address, spell) => {
        fc.pre(!forbidden.check(dotted(address), 'ipv4'))
        expect(classifyAddress(spell(address))).toBe('public')
      }),
      { numRuns: 3_000 },
    )
  })

  it('calls every other global IPv6 address public', () => {
    const forbidden = blockList([...FORBIDDEN_V6, '2001::/23', '2002::/16'], 'ipv6')
    fc.assert(
      fc.property(addressIn(['2000::/3', '2001::/16', '2600::/12'], 128), spellingOfV6, (address, spell) => {
        fc.pre(!forbidden.check(groups(address).join(':'), 'ipv6'))
        expect(classifyAddress(spell(address))).toBe('public')
      }),
      { numRuns: 3_000 },
    )
  })
})

function blockList(cidrs: readonly string[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [network = '', bits] = cidr.split('/')
    list.addSubnet(network, Number(bits), family)
  }
  return list
}

/** Any address of any of the ranges, as a number. */
function addressIn(cidrs: readonly string[], width: 32 | 128): fc.Arbitrary<bigint> {
  return fc.constantFrom(...cidrs).chain((cidr) => {
    const [network = '', bits] = cidr.split('/')
    const hostBits = BigInt(width - Number(bits))
    const base = width === 32 ? numberOfV4(network) : numberOfV6(network)
    return fc.bigInt({ min: 0n, max: (1n << hostBits) - 1n }).map((host) => base + host)
  })
}

function numberOfV4(text: string): bigint {
  return text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n)
}

function numberOfV6(text: string): bigint {
  const [head = '', tail = ''] = text.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return [...left, ...zeros, ...right].reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n)
}

const octets = (address: number) => [24, 16, 8, 0].map((shift) => (address >>> shift) & 255)
const dotted = (address: number) => octets(address).join('.')
const octal = (part: number) => `0${part.toString(8)}`
const hex = (part: number) => `0x${part.toString(16)}`

const spellingOfV4 = fc.constantFrom<(address: number) => string>(
  dotted,
  (address) => String(address >>> 0),
  (address) => hex(address >>> 0),
  (address) => octal(address >>> 0),
  (address) => octets(address).map(octal).join('.'),
  (address) => octets(address).map(hex).join('.'),
  (address) => octets(address).map(hex).join('.').toUpperCase().replaceAll('X', 'x'),
  (address) => `${address >>> 24}.${address & 0xff_ffff}`,
  (address) => `${hex(address >>> 24)}.${octal(address & 0xff_ffff)}`,
  (address) => `${address >>> 24}.${(address >>> 16) & 255}.${address & 0xffff}`,
)

const groups = (address: bigint) =>
  [112n, 96n, 80n, 64n, 48n, 32n, 16n, 0n].map((shift) => ((address >> shift) & 0xffffn).toString(16))
const compressed = (address: bigint) => new URL(`http://[${groups(address).join(':')}]/`).hostname

const spellingOfV6 = fc.constantFrom<(address: bigint) => string>(
  (address) => groups(address).join(':'),
  (address) => groups(address).join(':').toUpperCase(),
  (address) =>
    groups(address)
      .map((group) => group.padStart(4, '0'))
      .join(':'),
  compressed,
  (address) => compressed(address).slice(1, -1),
  (address) => [...groups(address).slice(0, 6), dotted(Number(address & 0xffff_ffffn))].join(':'),
)

const embedding = fc.constantFrom<(address: bigint) => bigint>(
  (address) => numberOfV6('::ffff:0:0') + address,
  (address) => numberOfV6('64:ff9b::') + address,
  (address) => numberOfV6('2002::') + (address << 80n) + 1n,
  (address) => numberOfV6('2001::') + (address << 64n) + (0xffff_ffffn ^ 0x0808_0808n),
  (address) => numberOfV6('2001:0:808:808::') + (0xffff_ffffn ^ address),
)
