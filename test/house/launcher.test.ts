import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

const root = dirname(dirname(import.meta.dirname))

/** A checkout with the real launcher, whose program only says where and how it was started, and a machine to start it on. */
function checkout() {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'launcher-')))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const home = join(dir, 'house')
  const bin = join(dir, 'bin')
  for (const folder of ['src/cli', 'scripts']) mkdirSync(join(home, folder), { recursive: true })
  mkdirSync(bin)
  for (const file of ['gatehouse', 'package.json', 'package-lock.json']) cpSync(join(root, file), join(home, file))
  const says = (name: string) => `console.log(JSON.stringify(['${name}', process.cwd(), process.argv.slice(2)]))\n`
  writeFileSync(join(home, 'src/cli/main.ts'), says('main'))
  writeFileSync(join(home, 'scripts/test.ts'), says('test'))
  for (const tool of [
    'sh',
    'sed',
    'cmp',
    'readlink',
    'dirname',
    'mkdir',
    'rm',
    'rmdir',
    'cp',
    'ln',
    'sleep',
    'head',
    'uname',
    'env',
    'cat',
  ]) {
    const found = ['/bin', '/usr/bin'].map((folder) => join(folder, tool)).find((path) => existsSync(path))
    if (found) symlinkSync(found, join(bin, tool))
  }
  return { dir, home, bin, calls: join(dir, 'npm-calls') }
}

type Checkout = ReturnType<typeof checkout>

function program(path: string, text: string): void {
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, 0o755)
}

function giveNode({ bin }: Checkout): void {
  symlinkSync(process.execPath, join(bin, 'node'))
}

/** Stands in for npm: notes how it was called, and installs what a real one would, or `fails`. */
function giveNpm({ bin, calls }: Checkout, fails = ''): void {
  program(
    join(bin, 'npm'),
    `if [ "$1" = --version ]; then echo 11; exit 0; fi
echo "$*" >>"${calls}"
${fails}
if [ "$1" = ci ]; then rm -rf node_modules; mkdir node_modules; exit 0; fi
for package; do case $package in node-*) last=$package ;; esac; done
mkdir -p "$3/node_modules/\${last%@*}/bin"
ln -s "${process.execPath}" "$3/node_modules/\${last%@*}/bin/node"`,
  )
}

function start(here: Checkout, args: readonly string[], options: { cwd?: string; file?: string } = {}) {
  const { status, stdout, stderr } = spawnSync(options.file ?? join(here.home, 'gatehouse'), args, {
    cwd: options.cwd ?? here.dir,
    env: { PATH: here.bin },
    encoding: 'utf8',
  })
  const said: unknown = stdout === '' ? undefined : JSON.parse(stdout)
  return { status, stdout, stderr, said }
}

function npmCalls({ calls }: Checkout): readonly string[] {
  return existsSync(calls) ? readFileSync(calls, 'utf8').trim().split('\n') : []
}

test('the first start installs the packages, the second starts without npm', () => {
  const here = checkout()
  giveNode(here)
  giveNpm(here)

  const first = start(here, ['up', '--data', 'x y'])
  const second = start(here, ['up'])

  expect(first.said).toEqual(['main', here.dir, ['up', '--data', 'x y']])
  expect(second).toMatchObject({ status: 0, stderr: '', said: ['main', here.dir, ['up']] })
  expect(npmCalls(here)).toEqual([expect.stringMatching(/^ci .*--ignore-scripts.*--omit=dev /)])
})

test('`test` needs all packages, and `up` is content with them', () => {
  const here = checkout()
  giveNode(here)
  giveNpm(here)

  start(here, ['up'])
  const tested = start(here, ['test', '--bail'])
  start(here, ['up'])

  expect(tested.said).toEqual(['test', here.dir, ['--bail']])
  expect(npmCalls(here)).toHaveLength(2)
  expect(npmCalls(here)[1]).not.toContain('--omit')
})

test('another lock file means installing again', () => {
  const here = checkout()
  giveNode(here)
  giveNpm(here)
  start(here, ['up'])
  writeFileSync(join(here.home, 'package-lock.json'), '{"lockfileVersion": 3}')

  start(here, ['up'])

  expect(npmCalls(here)).toHaveLength(2)
})

test('a machine with an older Node gets the pinned one', () => {
  const here = checkout()
  program(join(here.bin, 'node'), 'echo v20.20.2')
  giveNpm(here)

  const first = start(here, ['up'])
  const second = start(here, ['up'])

  expect(first).toMatchObject({ status: 0, said: ['main', here.dir, ['up']] })
  expect(second).toMatchObject({ status: 0, stderr: '' })
  expect(npmCalls(here)).toEqual([
    expect.stringMatching(/^install --prefix .*\/\.runtime .*node-.*@26\.\d+\.\d+ /),
    expect.stringMatching(/^ci /),
  ])
})

test('it is found through symbolic links and leaves the working directory alone', () => {
  const here = checkout()
  giveNode(here)
  giveNpm(here)
  const elsewhere = join(here.dir, 'else where')
  mkdirSync(elsewhere)
  symlinkSync('../house/gatehouse', join(elsewhere, 'one'))
  symlinkSync(join(elsewhere, 'one'), join(here.dir, 'two'))

  const { said } = start(here, ['doctor'], { cwd: elsewhere, file: '../two' })

  expect(said).toEqual(['main', elsewhere, ['doctor']])
})

test('an install that failed is made good by the next start', () => {
  const here = checkout()
  giveNode(here)
  giveNpm(here, 'mkdir -p node_modules/half; exit 1')

  const failed = start(here, ['up'])
  giveNpm(here)
  const repaired = start(here, ['up'])

  expect(failed.status).toBe(1)
  expect(repaired).toMatchObject({ status: 0, said: ['main', here.dir, ['up']] })
})

test.each([
  ['no npm', undefined, /npm was not found[^]*Install Node with npm/],
  [
    'no network',
    'echo "npm error code ENOTFOUND" >&2; echo "npm error https://registry.internal" >&2; exit 1',
    /registry cannot be reached \(ENOTFOUND\)[^]*Check the network/,
  ],
  ['a full disk', 'echo "npm ERR! code ENOSPC"; exit 1', /disk is full/],
  ['anything else', 'exit 1', /The reason is in .*install\.log/],
])('with %s it says what to do, without naming the registry', (_, fails, message) => {
  const here = checkout()
  giveNode(here)
  if (fails !== undefined) giveNpm(here, fails)

  const { status, stdout, stderr } = start(here, ['up'])

  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(stderr).toMatch(message)
  expect(stderr).not.toContain('registry.internal')
  expect(existsSync(join(here.home, '.cache/install.lock'))).toBe(false)
})

test('with neither Node nor npm it says what to install', () => {
  const { status, stderr } = start(checkout(), ['up'])

  expect(status).toBe(1)
  expect(stderr).toMatch(/npm was not found[^]*nodejs\.org/)
})

test('starts at the same time install once', async () => {
  const here = checkout()
  giveNode(here)
  giveNpm(here, 'sleep 0.3')

  const statuses = await Promise.all(
    Array.from({ length: 4 }, () => {
      const child = spawn(join(here.home, 'gatehouse'), ['up'], {
        cwd: here.dir,
        env: { PATH: here.bin },
        stdio: 'ignore',
      })
      return new Promise((resolve) => child.once('close', resolve))
    }),
  )

  expect(statuses).toEqual([0, 0, 0, 0])
  expect(npmCalls(here)).toHaveLength(1)
})

test('the lock of a start that was killed does not stop the next one', () => {
  const here = checkout()
  giveNode(here)
  giveNpm(here)
  mkdirSync(join(here.home, '.cache'))
  const { pid } = spawnSync(process.execPath, ['--version'])
  symlinkSync(String(pid), join(here.home, '.cache/install.lock'))

  expect(start(here, ['up']).status).toBe(0)
})

test('packages that belong to another checkout are used as they are', () => {
  const here = checkout()
  giveNode(here)
  mkdirSync(join(here.dir, 'shared'))
  symlinkSync(join(here.dir, 'shared'), join(here.home, 'node_modules'))

  expect(start(here, ['up']).status).toBe(0)
})
