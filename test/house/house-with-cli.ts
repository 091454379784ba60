/** A house and its command line in one folder, as somebody at this machine has them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { testCli, type TestCli } from '../../src/cli/testing.ts'
import { startHouse, type TestHouse } from './start-house.ts'

export type HouseWithCli = { readonly cwd: string; readonly house: TestHouse; readonly cli: TestCli }

/** Starts the house and resolves when it has listed its servers; the folder goes with it. */
export async function startHouseWithCli(options: {
  toml: string
  clock?: { now(): number }
  /** A folder that has files in it already. */
  cwd?: string
}): Promise<HouseWithCli> {
  const { cwd = await mkdtemp(join(tmpdir(), 'gatehouse-cli-')), ...how } = options
  const house = await startHouse({ ...how, dataDir: join(cwd, 'data') })
  await house.listed()
  const close = async (): Promise<void> => {
    await house.close()
    await rm(cwd, { recursive: true, force: true })
  }
  return { cwd, cli: testCli({ cwd }), house: { ...house, close, [Symbol.asyncDispose]: close } }
}

/** Runs a command that has to go well, and resolves with what it prints under `--json`. */
export async function printed(cli: TestCli, ...words: string[]) {
  const ran = await cli(...words, '--json')
  expect(ran).toMatchObject({ code: 0, err: '' })
  return JSON.parse(ran.out)
}
