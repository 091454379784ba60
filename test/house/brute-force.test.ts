import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { openBrowser } from '../../src/signin/testing/browser.ts'
import { startHouse, type TestHouse } from './start-house.ts'

const ADMIN = { userId: 'root', keyId: null, face: 'cli' } as const
const PASSWORD = 'quiet otters cross the river'
const GUESSES = 1_000
const HYDRA = '/usr/bin/hydra'

async function addPerson(house: TestHouse, userId: string): Promise<void> {
  await house.gatehouse.identity.accounts.create({ userId }, ADMIN)
  const { token } = await house.gatehouse.identity.links.create(userId, ADMIN)
  const browser = openBrowser(house.url)
  await browser.get(`/setup/${token}`)
  await browser.post(`/setup/${token}`, { password: PASSWORD, again: PASSWORD })
}

/** Lets hydra guess with the form token and the cookie of a real page; what it found stands in its answer. */
async function attack(house: TestHouse, options: readonly string[]): Promise<string> {
  const browser = openBrowser(house.url)
  await browser.get('/signin')
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  const form = `/signin:csrf=${browser.csrf()}&user=^USER^&password=^PASS^:H=Cookie\\: ${cookie}:F=role="alert">`
  const where = ['-s', new URL(house.url).port, '127.0.0.1', 'http-post-form', form]
  const { stdout } = await promisify(execFile)(HYDRA, ['-I', '-t', '8', ...options, ...where], {
    cwd: house.dataDir,
    timeout: 180_000,
    maxBuffer: 16_777_216,
  })
  return stdout
}

/** The status of a sign-in from another address of this machine. */
async function signInFrom(house: TestHouse, localAddress: string): Promise<number | undefined> {
  const browser = openBrowser(house.url)
  await browser.get('/signin')
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  const headers = { cookie, 'content-type': 'application/x-www-form-urlencoded' }
  const body = new URLSearchParams({ csrf: browser.csrf(), user: 'ada', password: PASSWORD })
  return new Promise((resolve, reject) => {
    const sent = request(`${house.url}/signin`, { method: 'POST', headers, localAddress }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
    sent.on('error', reject)
    sent.end(body.toString())
  })
}

describe.skipIf(!existsSync(HYDRA))('hydra', { timeout: 240_000 }, () => {
  test('does not find the password of one account in its list, and its owner still gets in from elsewhere', async () => {
    await using house = await startHouse({ toml: '' })
    await addPerson(house, 'ada')
    const list = [...Array.from({ length: GUESSES }, (_, at) => `not the password ${at}`), PASSWORD]
    await writeFile(join(house.dataDir, 'list.txt'), list.join('\n'))

    const found = await attack(house, ['-l', 'ada', '-P', 'list.txt'])
    const owner = await signInFrom(house, '127.0.0.2')

    expect(found).toContain('0 valid password')
    expect(owner).toBe(303)
    const { records } = await house.gatehouse.audit.search({ what: 'sign-in.attempted' })
    expect(records.some(({ reason }) => reason === 'too many wrong guesses')).toBe(true)
  })

  test('finds a password that it is told, so that finding none means something', async () => {
    await using house = await startHouse({ toml: '' })
    await addPerson(house, 'ada')

    expect(await attack(house, ['-l', 'ada', '-p', PASSWORD])).toContain('1 valid password')
  })

  test('does not find the one account of many that has the password it sprays', async () => {
    await using house = await startHouse({ toml: '' })
    await addPerson(house, 'zoe')
    const users = [...Array.from({ length: GUESSES }, (_, at) => `user${at}`), 'zoe']
    await writeFile(join(house.dataDir, 'users.txt'), users.join('\n'))

    const found = await attack(house, ['-L', 'users.txt', '-p', PASSWORD])

    expect(found).toContain('0 valid password')
  })
})
