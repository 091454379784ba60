import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const here = import.meta.dirname
const require = createRequire(import.meta.url)

type Asset = { readonly path: string; readonly type: string; readonly bytes: Buffer }

/** The style sheet and the scripts. Their names hold a hash of what is in them, so they can be kept for ever. */
export const ASSETS = loadAssets()

function loadAssets() {
  const style = asset('style', '.css', readFileSync(join(here, 'style.css')))
  const passkey = asset('passkey', '.js', readFileSync(join(here, 'passkey.js')))
  const library = asset('webauthn', '.js', readFileSync(libraryFile()))
  const all = [style, passkey, library]
  return {
    addresses: { style: style.path, scripts: { passkey: passkey.path, library: library.path } },
    find: (path: string): Asset | undefined => all.find((one) => one.path === path),
  }
}

/** One file for browsers, as the package brings it. */
function libraryFile(): string {
  const root = dirname(dirname(require.resolve('@simplewebauthn/browser')))
  return join(root, 'dist/bundle/index.umd.min.js')
}

function asset(name: string, extension: '.css' | '.js', bytes: Buffer): Asset {
  const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 12)
  const type = extension === '.css' ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8'
  return { path: `/signin/assets/${name}-${hash}${extension}`, type, bytes }
}
