import { dirname, delimiter } from 'node:path'
import { execPath } from 'node:process'

export type Environment = Readonly<Record<string, string | undefined>>

const INHERITED = new Set(['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LANGUAGE', 'TZ', 'TMPDIR', 'TERM'])
/** Files with the authorities that this machine trusts: behind a company's proxy nothing can be fetched without them. */
const TRUST = new Set(['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'])
const PROXIES = new Set(['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'])

/** The variable by which a process, and whatever it starts, is known as ours. */
export const MARKER = 'GATEHOUSE_PROCESS'

/**
 * What a child sees: a few harmless variables of ours, the way to the network (less a proxy's password), its own from
 * the configuration, the marker, and nothing else.
 */
export function childEnvironment(of: { ours: Environment; configured: Environment; marker: string }): Environment {
  const inherited = Object.entries(of.ours).filter(([name, value]) => mayInherit(name, value))
  // Our own Node comes last on the PATH, so that `node` exists even where the machine has none.
  const path = [of.ours['PATH'], dirname(execPath)].filter(Boolean).join(delimiter)
  return { ...Object.fromEntries(inherited), PATH: path, ...of.configured, [MARKER]: of.marker }
}

function mayInherit(name: string, value: string | undefined): boolean {
  if (PROXIES.has(name.toUpperCase())) return value?.includes('@') !== true
  return INHERITED.has(name) || TRUST.has(name) || name.startsWith('LC_')
}
