import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkClientMetadata } from './registration.ts'

const takes = (metadata: object): boolean => {
  try {
    checkClientMetadata({ client_id: 'x', ...metadata }, 'self-registered')
    return true
  } catch {
    return false
  }
}

describe('redirect addresses', () => {
  /** Pieces of which addresses and tricks with them are made. */
  const piece = fc.oneof(
    fc.constantFrom('https:', 'http:', 'HTTPS:', 'javascript:', 'JavaScript:', 'data:', 'app.example:', 'cursor:'),
    fc.constantFrom('//', '/', '\\', '@', ':', '?', '#', '%2f', '%00', '..', ';', ' ', '\t', '\n', '\u202e', '\u0000'),
    fc.constantFrom('localhost', '127.0.0.1', '[::1]', 'evil.example', '0x7f.1', 'localhost.evil.example', 'user:pw'),
    fc.string({ maxLength: 4 }),
  )
  const address = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''))
  const LOCAL = ['localhost', '127.0.0.1', '[::1]']

  test('of those that are taken a browser makes nothing but https, this machine, or the app’s own scheme', () => {
    fc.assert(
      fc.property(address, (uri) => {
        if (!takes({ redirect_uris: [uri] })) return
        const url = new URL(uri)

        expect([url.username, url.password, url.hash]).toEqual(['', '', ''])
        expect(url.protocol).not.toMatch(/^(javascript|data|vbscript|file|blob|about|ftp|wss?):$/)
        if (url.protocol === 'http:') expect(LOCAL).toContain(url.hostname)
        // Nothing was dropped or read as something else on the way.
        expect(uri).toMatch(/^[\x21-\x7e]+$/)
        expect(uri).not.toContain('\\')
      }),
      { numRuns: 2_000 },
    )
  })

  test.each([
    'https://app.example/cb',
    'http://localhost:3118/cb',
    'http://127.0.0.1/cb',
    'http://[::1]:9/cb',
    'cursor://anysphere.cursor-retrieval/oauth/callback',
    'com.example.app:/cb',
  ])('%s is taken, as real clients send it', (uri) => {
    expect(takes({ redirect_uris: [uri] })).toBe(true)
  })

  test('twenty are taken, and no more', () => {
    const many = (count: number) => Array.from({ length: count }, (_, n) => `https://app.example/${n}`)

    expect([takes({ redirect_uris: many(20) }), takes({ redirect_uris: many(21) })]).toEqual([true, false])
  })
})

test.each<[string, object, boolean]>([
  ['a plain name', { client_name: 'Claude Code' }, true],
  ['a name with markup, which is shown as text', { client_name: '<b>Bank</b>' }, true],
  ['a name that turns the text around', { client_name: 'Bank\u202eevil' }, false],
  ['a name with a line break', { client_name: 'Bank\nYou are safe' }, false],
  ['a name of 201 letters', { client_name: 'a'.repeat(201) }, false],
  ['a logo on the web', { logo_uri: 'https://app.example/logo.png' }, true],
  ['a logo over http', { logo_uri: 'http://app.example/logo.png' }, false],
  ['keys at an address inside', { jwks_uri: 'https://169.254.169.254/keys' }, false],
  ['keys at a spelt-out address inside', { jwks_uri: 'https://[::ffff:127.0.0.1]/keys' }, false],
  ['keys at a bare name', { jwks_uri: 'https://vault/keys' }, false],
  ['keys at this machine', { jwks_uri: 'https://keys.localhost/' }, false],
  ['a client that wants to act by itself', { grant_types: ['client_credentials'] }, false],
])('of metadata, %s', (_what, metadata, isTaken) => {
  expect(takes(metadata)).toBe(isTaken)
})
