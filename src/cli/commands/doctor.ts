import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { CONFIG_MISSING_REFERENCE } from '#config'
import { expiresSoon } from '#identity'
import { isProblem } from '#kernel'
import { whyNoPort, type GatehouseConfig } from '#main'
import { describeFailure } from '../failure.ts'
import { configOf, dataDirOf, reach, runningUrl, type Api, type Reached } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { count, printEither } from '../words/print.ts'
import { plain } from '../words/table.ts'
import { relative } from '../words/times.ts'
import { allKeys } from './key.ts'
import { checkGuard, probeAll, type Finding, type ServerInfo } from './boundary.ts'

export function addDoctor(program: Command, verb: Verb): void {
  dataCommand(program, 'doctor')
    .description('look at everything that could be wrong, and say what to do')
    .option('--probe', 'also ask every server what it offers without our credentials, as a stranger could')
    .action((options: DoctorOptions) => doctor(verb, options))
}

type DoctorOptions = DataOptions & { readonly probe?: boolean }

async function doctor({ terminal, finish }: Verb, options: DoctorOptions): Promise<void> {
  const findings = await examine(terminal, options)
  const text = findings.map(showFinding).join('')
  printEither(terminal, options, { json: { findings }, text })
  if (findings.some(({ level }) => level === 'fail')) finish(1)
}

function showFinding({ level, what, detail, advice }: Finding): string {
  const line = `${level.padEnd(4)}  ${what}: ${plain(detail)}\n`
  return advice === undefined ? line : `${line}      ${plain(advice)}\n`
}

async function examine(terminal: Terminal, options: DoctorOptions): Promise<Finding[]> {
  const dataDir = dataDirOf(terminal, options)
  const before = [checkNode(process.versions.node), await checkDataDir(dataDir)]
  const url = await runningUrl(dataDir)
  const configured = tryConfig(terminal, { ...options, isRunning: url !== null })
  if (!configured.config && url === null) return [...before, configured.finding]
  const port = await checkPort(configured.config, url)
  return [...before, configured.finding, port, ...(await checkHouse(terminal, options))]
}

const LEAST_NODE = 26

function checkNode(version: string): Finding {
  const isEnough = Number(version.split('.')[0]) >= LEAST_NODE
  if (isEnough) return { level: 'ok', what: 'node', detail: version }
  const advice = 'Start with ./gatehouse, which brings its own.'
  return { level: 'fail', what: 'node', detail: `${version} is older than ${LEAST_NODE}`, advice }
}

async function checkDataDir(dataDir: string): Promise<Finding> {
  const what = 'data'
  const found = await stat(dataDir).catch(() => null)
  if (!found)
    return { level: 'warn', what, detail: `${dataDir} does not exist yet`, advice: 'The first start makes it.' }
  if ((found.mode & 0o077) === 0) return { level: 'ok', what, detail: dataDir }
  const advice = `chmod 700 ${dataDir}`
  return { level: 'warn', what, detail: `others on this machine may look into ${dataDir}`, advice }
}

type Configured = { readonly finding: Finding; readonly config?: GatehouseConfig }

function tryConfig(terminal: Terminal, options: DataOptions & { isRunning: boolean }): Configured {
  const what = 'configuration'
  try {
    const { config, file } = configOf(terminal, options)
    return { config, finding: { level: 'ok', what, detail: file ?? 'none, so the default' } }
  } catch (error) {
    if (options.isRunning && isProblem(error, CONFIG_MISSING_REFERENCE)) {
      const advice = 'Nothing to do: the house that runs has its own environment.'
      const detail = `as far as this shell can tell: ${describeFailure(error).text}`
      return { finding: { level: 'ok', what, detail, advice } }
    }
    const advice = 'Put the lines right that are named above.'
    return { finding: { level: 'fail', what, detail: describeFailure(error).text, advice } }
  }
}

async function checkPort(config: GatehouseConfig | undefined, url: string | null): Promise<Finding> {
  const what = 'port'
  if (url !== null || config === undefined) return { level: 'ok', what, detail: `the house runs at ${url}` }
  const { host, port } = config.server.listen
  const trouble = await whyNoPort({ host, port })
  if (trouble === null) return { level: 'ok', what, detail: `${host}:${port} is free; the house does not run` }
  const advice = 'Stop what uses it, or choose another with --listen.'
  return { level: 'fail', what, detail: `${host}:${port} cannot be used (${trouble})`, advice }
}

async function checkHouse(terminal: Terminal, options: DoctorOptions): Promise<Finding[]> {
  const opened = await tryReach(terminal, options)
  if (!opened.reached) return [opened.finding]
  await using reached = opened.reached
  const { api } = reached
  return [
    opened.finding,
    ...(await checkServers(api, options.probe === true ? terminal : null)),
    ...(await checkHooks(api)),
    ...(await checkGateways(api)),
    ...(await checkKeys(api, terminal.now())),
    ...(await checkHolders(api)),
    await checkAudit(api),
  ]
}

async function tryReach(
  terminal: Terminal,
  options: DataOptions,
): Promise<{ readonly finding: Finding; readonly reached?: Reached }> {
  const what = 'storage'
  try {
    const reached = await reach(terminal, options)
    await reached.api.readyz()
    return { reached, finding: { level: 'ok', what, detail: 'opens, and can be written' } }
  } catch (error) {
    const advice = 'Check storage.url and the permissions of the data directory.'
    return { finding: { level: 'fail', what, detail: describeFailure(error).text, advice } }
  }
}

async function checkServers(api: Api, prober: Terminal | null): Promise<Finding[]> {
  const { servers } = await api.listServers()
  if (servers.length === 0)
    return [
      { level: 'warn', what: 'servers', detail: 'there are none', advice: './gatehouse server add NAME --url URL' },
    ]
  const enabled = servers.filter((server) => server.enabled)
  // Asked anew, and all at once: one that is slow must not hide the others.
  const checked = await Promise.all(enabled.map(({ name }) => api.checkServer({ params: { name } })))
  const guards = prober === null ? checked.flatMap(checkGuard) : await probeAll({ terminal: prober, api }, checked)
  return [...checked.map(describeHealth), ...guards]
}

function describeHealth({ name, health }: ServerInfo): Finding {
  const what = `server ${name}`
  if (health.state === 'healthy') return { level: 'ok', what, detail: count(health.tools, 'tool') }
  const level = health.state === 'degraded' ? 'warn' : 'fail'
  return { level, what, detail: `${health.state}: ${health.reason}`, advice: `./gatehouse server check ${name}` }
}

async function checkHooks(api: Api): Promise<Finding[]> {
  const { hooks } = await api.checkHooks({ body: {} })
  return hooks.map(({ name, state, reason, failure }): Finding => {
    const what = `hook ${name}`
    if (state === 'healthy') return { level: 'ok', what, detail: 'agrees to be asked' }
    const effect = failure === 'closed' ? 'what it is for is refused' : 'calls go on without it'
    const level = failure === 'closed' && state === 'unreachable' ? 'fail' : 'warn'
    return { level, what, detail: `${state}: ${reason}; ${effect}`, advice: `./gatehouse hook check ${name}` }
  })
}

async function checkGateways(api: Api): Promise<Finding[]> {
  const { gateways } = await api.listGateways()
  return gateways.map(({ slug, auth, toolCount }): Finding => {
    const what = `gateway ${slug}`
    const shows = count(toolCount, 'tool')
    if (auth === 'none')
      return { level: 'warn', what, detail: `${shows}, without a key`, advice: 'Anybody on this machine may use it.' }
    if (toolCount > 0) return { level: 'ok', what, detail: shows }
    return { level: 'warn', what, detail: 'shows no tools', advice: 'Compare its patterns with the servers above.' }
  })
}

async function checkKeys(api: Api, now: number): Promise<Finding[]> {
  const keys = await allKeys(api)
  return keys
    .filter((key) => expiresSoon(key, now))
    .map(({ id, userId, expiresAt }): Finding => {
      const detail = `${userId === null ? '' : `of ${userId}, `}ends ${relative(expiresAt, now)}`
      return { level: 'warn', what: `key ${id}`, detail, advice: 'Make the next one, and revoke this one then.' }
    })
}

/** Whoever may write to some modules may give themselves everything: that is to be known. */
async function checkHolders(api: Api): Promise<Finding[]> {
  const { holders } = await api.findAdminHolders({})
  return holders.flatMap(({ user, modules, rules }): Finding[] => {
    const escalating = modules.filter(({ escalation }) => escalation !== null)
    if (escalating.length === 0) return []
    const words = escalating.map(({ module, escalation }) => `admin:${module} (could ${escalation})`)
    const advice = `Look whether that is meant; it is by ${rules.join(', ')}. ./gatehouse policy admins says more.`
    const what = `account ${user}`
    return [{ level: 'warn', what, detail: `no admin, but may write to ${words.join(', ')}`, advice }]
  })
}

async function checkAudit(api: Api): Promise<Finding> {
  const what = 'audit'
  const verdict = await api.verifyAudit({ query: {} })
  if (verdict.ok) return { level: 'ok', what, detail: `${count(verdict.records, 'record')}, unchanged` }
  const where =
    verdict.problem === null ? '' : `${verdict.problem.chain} #${verdict.problem.seq}: ${verdict.problem.detail}`
  const advice = 'Somebody changed the database. ./gatehouse audit verify says more.'
  return { level: 'fail', what, detail: where, advice }
}
