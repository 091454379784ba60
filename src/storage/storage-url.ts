import { Problem } from '#kernel'
import { BAD_STORAGE_URL } from './problems.ts'

export type StoragePlace =
  | { readonly engine: 'sqlite'; readonly file: string }
  | { readonly engine: 'postgres'; readonly url: string }

const SCHEMES = '"sqlite:./data/gatehouse.db" or "postgres://user:password@host/database"'

/** Reads a storage URL. The refusal quotes the scheme only: the rest may hold a password. */
export function parseStorageUrl(url: string): StoragePlace {
  const scheme = /^[a-z]+(?=:)/.exec(url)?.[0] ?? ''
  switch (scheme) {
    case 'sqlite':
      return { engine: 'sqlite', file: fileOf(url) }
    case 'postgres':
    case 'postgresql':
      return { engine: 'postgres', url: checkPostgresUrl(url) }
    default:
      throw new Problem(
        BAD_STORAGE_URL,
        `A storage URL begins with ${scheme ? `"${scheme}:"` : 'no known scheme'}; write ${SCHEMES}.`,
      )
  }
}

function fileOf(url: string): string {
  const file = url.slice('sqlite:'.length).replace(/^\/\/(?=\/)/, '')
  if (file !== '' && !file.startsWith('//') && !file.startsWith(':') && !file.includes('\0')) return file
  throw new Problem(
    BAD_STORAGE_URL,
    `"${url.slice(0, 200)}" names no file; write it like "sqlite:./data/gatehouse.db".`,
  )
}

function checkPostgresUrl(url: string): string {
  const parsed = URL.parse(url)
  if (parsed && parsed.pathname.length > 1) return url
  throw new Problem(
    BAD_STORAGE_URL,
    'The Postgres URL cannot be read or names no database; write it like "postgres://user:password@host/database", with special characters percent-encoded.',
  )
}
