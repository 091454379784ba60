import { userInfo } from 'node:os'
import type { Command } from 'commander'
import { parseHostPort } from '#config'
import { followConfig, serve, type RunningGatehouse } from '#main'
import { createLog } from '#telemetry'
import { UsageError } from '../failure.ts'
import { clientOf, configOf, dataDirOf, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { houseCommand, type HouseOptions, type Verb } from '../verb.ts'
import { firstWelcome, laterWelcome } from '../words/welcome.ts'

export function addUp(program: Command, { terminal }: Verb): void {
  houseCommand(program, 'up')
    .description('start the house, and stay until it is stopped')
    .option('--listen <host:port>', 'where to listen, in place of what the configuration says')
    .action((options: UpOptions) => up(terminal, options))
}

/** How long calls may take to end by themselves; containers are usually killed after ten seconds. */
const DRAIN_MS = 8_000

type UpOptions = HouseOptions & { listen?: string }

async function up(terminal: Terminal, options: UpOptions): Promise<void> {
  const { config, file } = configOf(terminal, { ...options, listen: listenOf(options) })
  const log = createLog({ level: config.server.log_level })
  const asked = Promise.withResolvers<string>()
  const release = terminal.onSignal((signal) => {
    // The second time it is meant: whoever waits for the first to end may have to wait long.
    release()
    terminal.onSignal(() => terminal.exit(signal === 'SIGINT' ? 130 : 143))
    asked.resolve(signal)
  })
  const house = await serve({ config, dataDir: dataDirOf(terminal, options), log })
  const read = () => configOf(terminal, { ...options, listen: listenOf(options) }).config
  const stopFollowing = file === undefined ? () => {} : followConfig({ gatehouse: house, log, file, read })
  await welcome(terminal, house, file)
  const signal = await asked.promise
  terminal.err(`gatehouse: ${signal}, closing (once more: at once)\n`)
  stopFollowing()
  await house.drain(DRAIN_MS)
  await house.close()
}

function listenOf({ listen }: UpOptions) {
  if (listen === undefined) return undefined
  const parsed = parseHostPort(listen)
  if (!parsed) throw new UsageError(`--listen ${JSON.stringify(listen)}: write HOST:PORT, such as 127.0.0.1:8600.`)
  return parsed
}

/** On the first start a key is made and shown, so that a newcomer is one paste away from a working client. */
async function welcome(terminal: Terminal, house: RunningGatehouse, file: string | undefined): Promise<void> {
  const api = clientOf(house)
  const { keys } = await api.listKeys({ query: { limit: 1 } })
  const { gateways } = await api.listGateways()
  const slug = gateways[0]?.slug
  const place = { url: house.url, publicUrl: house.publicUrl, dataDir: house.dataDir, file, slug }
  if (keys.length > 0 || slug === undefined) terminal.out(laterWelcome(place))
  else terminal.out(firstWelcome(place, { slug, ...(await firstKey(api)) }))
  await offerFirstAdmin(terminal, house)
}

/** Until somebody can sign in as an admin, each start shows a link with which one sets up how. */
async function offerFirstAdmin(terminal: Terminal, house: RunningGatehouse): Promise<void> {
  const { links, passwords, factors } = house.identity
  const canSignIn = async (accountId: string): Promise<boolean> =>
    (await passwords.has(accountId)) || (await factors.list(accountId)).passkeys.length > 0
  const link = await links.forFirstAdmin(canSignIn)
  if (link === null) return
  terminal.out(`\nNobody can sign in as an admin yet. Set up "${link.userId}" within a day; the link works once:\n`)
  terminal.out(`  ${house.publicUrl}/setup/${link.token}\n`)
}

async function firstKey(api: Api): Promise<{ key: string; user: string }> {
  const user = loginName()
  const { key } = await api.createKey({ body: { userId: user, gateways: ['*'], name: 'made at the first start' } })
  return { key, user }
}

function loginName(): string {
  try {
    return userInfo().username.trim() || 'me'
  } catch {
    // A container may run under a user id without a name.
    return 'me'
  }
}
