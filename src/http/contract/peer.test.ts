import { describe, expect, test } from 'vitest'
import { createCallerAddress } from './peer.ts'

const TRUSTED = ['127.0.0.1', '10.1.0.0/16', '2001:db8:1::/48']
const addressOf = createCallerAddress(TRUSTED)
const from = (remoteAddress: string, forwardedFor?: string | readonly string[], more: Record<string, string> = {}) =>
  addressOf({
    socket: { remoteAddress },
    headers: {
      ...(forwardedFor === undefined ? {} : { 'x-forwarded-for': [forwardedFor].flat().join(', ') }),
      ...more,
    },
  })

describe('where a request comes from', () => {
  test.each<[string, string, string | undefined, string]>([
    ['nobody in between', '203.0.113.9', undefined, '203.0.113.9'],
    ['nobody in between, written as IPv6', '::ffff:203.0.113.9', undefined, '203.0.113.9'],
    ['one proxy', '10.1.0.5', '203.0.113.9', '203.0.113.9'],
    ['one proxy, written as IPv6', '::ffff:10.1.0.5', '203.0.113.9', '203.0.113.9'],
    ['two proxies', '127.0.0.1', '203.0.113.9, 10.1.2.3', '203.0.113.9'],
    ['a proxy that adds the port', '10.1.0.5', '203.0.113.9:4711', '203.0.113.9'],
    ['IPv6 with a port', '2001:db8:1::5', '[2001:db8:9::1]:4711', '2001:db8:9::1'],
    ['a caller inside', '10.1.0.5', '10.1.9.9, 10.1.0.7', '10.1.9.9'],
    ['the proxy itself', '10.1.0.5', undefined, '10.1.0.5'],
  ])('with %s', (_what, peer, said, address) => {
    expect(from(peer, said)).toBe(address)
  })

  test.each<[string, string, string, string]>([
    ['what the caller wrote before', '10.1.0.5', '192.0.2.1, 203.0.113.9', '203.0.113.9'],
    ['this machine, written before', '10.1.0.5', '127.0.0.1, 203.0.113.9', '203.0.113.9'],
    ['a trusted proxy, written before', '10.1.0.5', '192.0.2.1, 10.1.0.6, 203.0.113.9, 10.1.0.7', '203.0.113.9'],
    ['this machine alone', '10.1.0.5', '127.0.0.1', 'a proxy at 10.1.0.5'],
    ['this machine as IPv6', '10.1.0.5', '::ffff:127.0.0.1', 'a proxy at 10.1.0.5'],
    ['no address', '10.1.0.5', '203.0.113.9, unknown', 'a proxy at 10.1.0.5'],
    ['nothing', '10.1.0.5', '', 'a proxy at 10.1.0.5'],
    ['anything, from somebody who is not trusted', '203.0.113.9', '10.1.0.9', 'a proxy at 203.0.113.9'],
    ['a name like an address', '10.1.0.5', '203.0.113.9.evil.example', 'a proxy at 10.1.0.5'],
    ['an address in hexadecimal', '10.1.0.5', '0x7f000001', 'a proxy at 10.1.0.5'],
  ])('nobody is believed who says %s', (_what, peer, said, address) => {
    expect(from(peer, said)).toBe(address)
  })

  test('other headers of proxies say nothing, and that one was in between', () => {
    expect(from('10.1.0.5', undefined, { forwarded: 'for=203.0.113.9' })).toBe('a proxy at 10.1.0.5')
    expect(from('10.1.0.5', '203.0.113.9', { 'x-real-ip': '192.0.2.1' })).toBe('203.0.113.9')
  })

  test('a header of a million hops is not read to its beginning', () => {
    expect(
      from(
        '10.1.0.5',
        Array.from({ length: 100_000 }, () => '10.1.0.6'),
      ),
    ).toBe('10.1.0.6')
  })
})
