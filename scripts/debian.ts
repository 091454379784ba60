/** The Debian packages some suites need. Where apt may be used they are installed; elsewhere their suites skip themselves. */
import { existsSync, readdirSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { runCommand, SKIPPED, type Step } from './steps.ts'

type Need = { readonly package: string; readonly suites: string; readonly isPresent: () => boolean }

const needs: readonly Need[] = [
  { package: 'postgresql', suites: 'everything on Postgres: storage, rooms and whole houses', isPresent: hasPostgres },
  { package: 'oathtool', suites: 'authenticator apps against another implementation', isPresent: hasOathtool },
  {
    package: 'hydra',
    suites: 'guessing passwords with a tool made for it',
    isPresent: () => existsSync('/usr/bin/hydra'),
  },
  {
    package: 'chromium',
    suites: 'the sign-in pages in a real browser, with passkeys',
    isPresent: () => existsSync('/usr/bin/chromium'),
  },
  {
    package: 'libapache2-mod-auth-openidc',
    suites: 'signing in to an application behind Apache',
    isPresent: () => existsSync('/usr/lib/apache2/modules/mod_auth_openidc.so'),
  },
]

/** Installs what is missing where it may. Returns one skipped step for each package that is still missing. */
export async function installNeeds(): Promise<readonly Step[]> {
  const missing = needs.filter((need) => !need.isPresent())
  const prefix = aptPrefix()
  if (missing.length > 0 && prefix !== undefined) {
    await installWithApt(
      prefix,
      missing.map((need) => need.package),
    )
  }
  return missing.filter((need) => !need.isPresent()).map(skippedStep)
}

function skippedStep(need: Need): Step {
  const run = async () => {
    console.log(`The package ${need.package} is not installed and apt cannot be used here.`)
    console.log(`Skipped: ${need.suites}. To run it: apt install ${need.package}, or your system's equivalent.`)
    return SKIPPED
  }
  return { name: `needs ${need.package}`, run }
}

/** How to call apt-get as root without being asked anything: directly, through sudo, or (undefined) not at all. */
function aptPrefix(): readonly string[] | undefined {
  if (!existsSync('/etc/debian_version') || !existsSync('/usr/bin/apt-get')) return undefined
  if (process.getuid?.() === 0) return []
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined
}

async function installWithApt(prefix: readonly string[], packages: readonly string[]): Promise<void> {
  console.log(`== installing Debian packages: ${packages.join(' ')}`)
  // RUNLEVEL=1: the packages' own services need not start; tests start private ones.
  const apt = (...args: readonly string[]) => {
    const words = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1', 'apt-get', '-q', '-y', ...args]
    return runCommand(words[0] ?? 'env', words.slice(1))
  }
  if ((await apt('install', '--no-install-recommends', ...packages)) === 0) return
  await apt('update')
  await apt('install', '--no-install-recommends', ...packages)
}

export function hasOathtool(): boolean {
  return pathFolders().some((folder) => existsSync(join(folder, 'oathtool')))
}

export function hasPostgres(): boolean {
  const folders = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : []
  const debian = folders.map((version) => join('/usr/lib/postgresql', version, 'bin'))
  return [...debian, ...pathFolders()].some((folder) => existsSync(join(folder, 'initdb')))
}

function pathFolders(): readonly string[] {
  return (process.env['PATH'] ?? '').split(delimiter)
}
