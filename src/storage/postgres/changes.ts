import pg from 'pg'
import type { ChangeBus } from '../contract.ts'
import type { StorageLog } from '../engine.ts'
import { whileDoing } from '../errors.ts'
import { checkChange, Topics } from '../topics.ts'
import { connectionConfig } from './pool.ts'

const CHANNEL = 'gatehouse_changes'
const FIRST_RETRY_MS = 50
const MAX_RETRY_MS = 5_000
const HEARTBEAT_MS = 10_000
const ANSWER_DEADLINE_MS = 5_000

export type PostgresChangesOptions = { readonly url: string; readonly pool: pg.Pool; readonly log: StorageLog }

/**
 * LISTEN on a connection of its own. When it is lost, it is made anew with growing pauses, and then every listener is
 * told once with `''`, as anything may have been missed meanwhile.
 */
export class PostgresChanges implements ChangeBus {
  readonly #options: PostgresChangesOptions
  readonly #topics: Topics
  #client: pg.Client | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: PostgresChangesOptions) {
    this.#options = options
    this.#topics = new Topics(options.log)
  }

  /** Connects for the first time; rejects when that fails. */
  async start(): Promise<void> {
    await this.#listen().catch((error: unknown) => {
      throw whileDoing('listen for changes on Postgres', error)
    })
  }

  async publish(topic: string, payload = ''): Promise<void> {
    checkChange(topic, payload)
    try {
      await this.#options.pool.query('select pg_notify($1, $2)', [CHANNEL, `${topic}\n${payload}`])
    } catch (error) {
      throw whileDoing(`announce a change of ${topic} on Postgres`, error)
    }
  }

  subscribe(topic: string, listener: (payload: string) => void): () => void {
    return this.#topics.subscribe(topic, listener)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#client?.end()
  }

  async #listen(): Promise<void> {
    const client = new pg.Client({ ...connectionConfig(this.#options.url), query_timeout: ANSWER_DEADLINE_MS })
    client.on('notification', (notification) => this.#deliver(notification.payload ?? ''))
    client.on('error', (error) => this.#lose(client, error))
    client.on('end', () => this.#lose(client, new Error('the connection ended')))
    try {
      await client.connect()
      await client.query(`listen ${CHANNEL}`)
    } catch (error) {
      abandon(client)
      throw error
    }
    if (this.#isClosed) return abandon(client)
    this.#client = client
    this.#beat(client)
  }

  #deliver(notification: string): void {
    const end = notification.indexOf('\n')
    this.#topics.deliver(notification.slice(0, end), notification.slice(end + 1))
  }

  /** A connection can die without a sign (a firewall forgot it); only asking shows it. */
  #beat(client: pg.Client): void {
    this.#timer = setTimeout(() => {
      client.query('select 1').then(
        () => client === this.#client && !this.#isClosed && this.#beat(client),
        (error: unknown) => this.#lose(client, error),
      )
    }, HEARTBEAT_MS)
    this.#timer.unref()
  }

  #lose(client: pg.Client, error: unknown): void {
    if (client !== this.#client || this.#isClosed) return
    this.#client = undefined
    abandon(client)
    this.#options.log({ kind: 'connection-lost', error })
    this.#retryAfter(FIRST_RETRY_MS)
  }

  #retryAfter(pauseMs: number): void {
    clearTimeout(this.#timer)
    if (this.#isClosed) return
    this.#timer = setTimeout(() => {
      this.#listen().then(
        () => this.#restored(),
        () => this.#retryAfter(Math.min(pauseMs * 2, MAX_RETRY_MS)),
      )
    }, pauseMs)
  }

  #restored(): void {
    if (!this.#client) return
    this.#options.log({ kind: 'connection-restored' })
    this.#topics.deliverGap()
  }
}

/** Ends a connection that may not answer any more, without waiting for it. */
function abandon(client: pg.Client): void {
  client.end().catch(() => {})
}
