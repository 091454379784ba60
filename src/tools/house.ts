import type { Clock } from '#kernel'
import { InStep, type Storage } from '#storage'
import type { Log } from '#telemetry'
import { rememberOffer } from './catalog/catalog.ts'
import { gatewayConfig, type GatewayConfig, type ServerConfig } from './config.ts'
import { keepServer, type KeeperTiming, type KeptServer, type ServerHealth } from './servers/kept-server.ts'
import { buildSnapshot, changedLists, EMPTY_SNAPSHOT, type Snapshot } from './views/snapshot.ts'
import type { Source, SourceEvents } from './source.ts'
import { deleteExpiredHeld } from './call/held-store.ts'
import { deleteExpiredOnce, listStoredGateways, listStoredServers, toolsDb, type ToolsDb } from './store.ts'
import type { ListChange } from './tools.ts'

/**
 * Everything that lives between calls: the servers that are kept known, and the snapshot that calls read. A change,
 * made here or on another replica, is read anew from the database, compiled, swapped in whole, and told to listeners.
 */
export type House = {
  snapshot(): Snapshot
  server(name: string): KeptServer | undefined
  servers(): readonly KeptServer[]
  /** All servers there are, switched off ones too. */
  configs(): readonly ServerConfig[]
  gateways(): readonly GatewayConfig[]
  /** Whether a gateway may have `auth = "none"` here. */
  readonly mayBeOpen: boolean
  readonly programsFrom: ProgramsFrom
  /** What the config file declares now. */
  declared(): Declared
  /** Takes over a changed config file: servers that it does not touch go on as they are. */
  declare(next: Declared): Promise<void>
  /** Tells all replicas that something was changed in the database; resolves when this one has it in its snapshot. */
  changed(): Promise<void>
  onListsChanged(listener: (gateway: string, changes: readonly ListChange[]) => void): () => void
  close(): Promise<void>
}

/**
 * Who may have programs run here as servers (`transport = "stdio"`): the config file alone, also whoever holds this
 * machine's admin token (the command line), or also every admin key.
 */
export type ProgramsFrom = 'file' | 'local' | 'admin'

export type Declared = { readonly servers: readonly ServerConfig[]; readonly gateways: readonly GatewayConfig[] }

export type HouseDeps = {
  readonly storage: Storage
  readonly clock: Clock
  readonly log: Log
  /** From the config file; they win over stored ones with the same name. */
  readonly declared: Declared
  /** Only this machine reaches the listener, so a gateway may have `auth = "none"`. */
  readonly mayBeOpen: boolean
  readonly programsFrom: ProgramsFrom
  readonly makeSource: (server: { config: ServerConfig; trusted: boolean }, events: SourceEvents) => Source
  readonly openConfig: (sealed: string) => ServerConfig | null
  readonly onHealth?: (server: string, health: ServerHealth) => void
  /** A server was removed or switched off. */
  readonly onGone?: (server: string) => void
  readonly timing?: Partial<KeeperTiming>
}

const TOPIC = 'tools'
const SWEEP_MS = 600_000

/** Reads the database, starts keeping every server, and resolves with a first snapshot of what was known before. */
export async function openHouse(deps: HouseDeps): Promise<House> {
  const house = new LiveHouse(deps)
  await house.refresh()
  return house
}

class LiveHouse implements House {
  readonly #deps: HouseDeps
  readonly #db: ToolsDb
  readonly #kept = new Map<string, { kept: KeptServer; text: string }>()
  readonly #listeners = new Set<(gateway: string, changes: readonly ListChange[]) => void>()
  readonly #inStep: InStep
  #configs: readonly ServerConfig[] = []
  #declared: Declared
  #gateways: readonly GatewayConfig[] = []
  #snapshot: Snapshot = EMPTY_SNAPSHOT
  readonly #sweep: NodeJS.Timeout

  constructor(deps: HouseDeps) {
    this.#deps = deps
    this.#declared = deps.declared
    this.#db = toolsDb(deps.storage)
    this.#sweep = setInterval(() => void this.#forgetOldCalls(), SWEEP_MS).unref()
    const { log } = deps
    const { changes } = deps.storage
    const what = 'the servers and gateways'
    this.#inStep = new InStep({ changes, log, topic: TOPIC, what, read: () => this.#refreshOnce() })
  }

  get mayBeOpen(): boolean {
    return this.#deps.mayBeOpen
  }

  get programsFrom(): ProgramsFrom {
    return this.#deps.programsFrom
  }

  snapshot(): Snapshot {
    return this.#snapshot
  }

  server(name: string): KeptServer | undefined {
    return this.#kept.get(name)?.kept
  }

  servers(): readonly KeptServer[] {
    return [...this.#kept.values()].map(({ kept }) => kept)
  }

  configs(): readonly ServerConfig[] {
    return this.#configs
  }

  gateways(): readonly GatewayConfig[] {
    return this.#gateways
  }

  declared(): Declared {
    return this.#declared
  }

  async declare(next: Declared): Promise<void> {
    this.#declared = next
    await this.refresh()
  }

  changed(): Promise<void> {
    return this.#inStep.announce()
  }

  onListsChanged(listener: (gateway: string, changes: readonly ListChange[]) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep)
    await this.#inStep.close()
    await Promise.all(this.servers().map((server) => server.close()))
  }

  /** One refresh at a time; whoever asks during one gets the next, which surely sees their change. */
  refresh(): Promise<void> {
    return this.#inStep.reload()
  }

  async #refreshOnce(): Promise<void> {
    const servers = await this.#readServers()
    this.#configs = servers.map(({ config }) => config)
    this.#gateways = await this.#readGateways()
    await this.#keepOnly(servers)
    const before = this.#snapshot
    const after = await buildSnapshot(this.#db, {
      servers: servers.map(({ config }) => config),
      gateways: this.#gateways,
    })
    this.#snapshot = after
    for (const slug of new Set([...before.views.keys(), ...after.views.keys()])) {
      const changes = changedLists(before.views.get(slug), after.views.get(slug))
      if (changes.length > 0) for (const listener of this.#listeners) listener(slug, changes)
    }
  }

  /** Outcomes that were kept for repeated calls, and are no longer. */
  async #forgetOldCalls(): Promise<void> {
    const { clock, log } = this.#deps
    const now = clock.now()
    await Promise.all([deleteExpiredOnce(this.#db, now), deleteExpiredHeld(this.#db, now)]).catch((error: unknown) =>
      log.warn({ err: error }, 'old outcomes of calls could not be deleted'),
    )
  }

  async #readServers(): Promise<{ config: ServerConfig; trusted: boolean }[]> {
    const declared = this.#declared.servers.map((config) => ({ config, trusted: true }))
    const names = new Set(declared.map(({ config }) => config.name))
    const stored = (await listStoredServers(this.#db)).flatMap((row) => {
      const config = names.has(row.name) ? null : this.#deps.openConfig(row.sealed_config)
      return config ? [{ config: this.#withoutProgram(config), trusted: false }] : []
    })
    return [...declared, ...stored]
  }

  /** A stored program from before `programs_from = "file"` is switched off: it is shown and can be removed. */
  #withoutProgram(config: ServerConfig): ServerConfig {
    if (config.transport !== 'stdio' || this.#deps.programsFrom !== 'file') return config
    return { ...config, enabled: false }
  }

  async #readGateways(): Promise<GatewayConfig[]> {
    const declared = this.#declared.gateways
    const slugs = new Set(declared.map(({ slug }) => slug))
    const stored = (await listStoredGateways(this.#db)).filter((row) => !slugs.has(row.slug))
    return [...declared, ...stored.flatMap((row) => this.#readGateway(row) ?? [])]
  }

  /** A row of an earlier version gets today's defaults; one that was open asks for keys where others reach the house. */
  #readGateway(row: { slug: string; config: string }): GatewayConfig | null {
    const parsed = gatewayConfig.safeParse(JSON.parse(row.config))
    if (!parsed.success) {
      this.#deps.log.error({ gateway: row.slug, err: parsed.error }, 'a stored gateway cannot be read and is left out')
      return null
    }
    return this.#deps.mayBeOpen ? parsed.data : { ...parsed.data, auth: 'key' }
  }

  async #keepOnly(servers: readonly { config: ServerConfig; trusted: boolean }[]): Promise<void> {
    const wanted = new Map(servers.filter(({ config }) => config.enabled).map((server) => [server.config.name, server]))
    const gone = [...this.#kept].filter(([name, { text }]) => {
      const server = wanted.get(name)
      return server === undefined || JSON.stringify(server) !== text
    })
    for (const [name, { kept }] of gone) {
      this.#kept.delete(name)
      if (!wanted.has(name)) this.#deps.onGone?.(name)
      kept
        .close()
        .catch((error: unknown) => this.#deps.log.warn({ err: error, server: name }, 'a server did not close cleanly'))
    }
    for (const [name, server] of wanted) if (!this.#kept.has(name)) this.#kept.set(name, this.#keep(server))
  }

  #keep(server: { config: ServerConfig; trusted: boolean }): { kept: KeptServer; text: string } {
    const { clock, log, timing } = this.#deps
    const kept = keepServer(
      { ...server, makeSource: (events) => this.#deps.makeSource(server, events) },
      {
        clock,
        log,
        onHealth: (health) => this.#deps.onHealth?.(server.config.name, health),
        onOffer: async (offer) => {
          if (await rememberOffer({ db: this.#db, clock }, server.config, offer)) await this.changed()
        },
        ...(timing === undefined ? {} : { timing }),
      },
    )
    return { kept, text: JSON.stringify(server) }
  }
}
