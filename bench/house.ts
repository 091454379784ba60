/** A house in this process and nothing around it, for what is measured within. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SILENT } from '../src/audit/testing.ts'
import { openGatehouse, readConfig, type Gatehouse } from '../src/main/index.ts'

const TOML = `
[storage]
durability = "process"

[[servers]]
name = "reference"
transport = "builtin"

[[gateways]]
slug = "open"
access = "all"
tools = ["reference/*"]

[[gateways]]
slug = "granted"
access = "grants"
tools = ["reference/*"]
`

/** The reference server behind two gateways: all may use "open", and whoever was granted something "granted". */
export async function openBenchHouse(): Promise<{ house: Gatehouse; [Symbol.asyncDispose](): Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-bench-'))
  const house = await openGatehouse({ config: readConfig({ text: TOML, dataDir, env: {} }), dataDir, log: SILENT })
  await Promise.all(house.house.servers().map((server) => server.firstListing))
  const close = async (): Promise<void> => {
    await house.close()
    await rm(dataDir, { recursive: true })
  }
  return { house, [Symbol.asyncDispose]: close }
}
