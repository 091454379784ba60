import type { JsonObject } from '#kernel'
import type {
  CallerPort,
  CallerSession,
  Era,
  FollowedTask,
  Offer,
  Reply,
  ResourceSubscription,
  SourceCall,
  SourceUsage,
} from '../../source.ts'

/** One server in one era: what `createMcpSource` puts behind the plug once it knows which era that is. */
export type Adapter = {
  readonly era: Era
  sync(signal: AbortSignal): Promise<Offer>
  /** Throws `WrongEra` when the server turns out to be of another one; then nothing was executed. */
  call(call: SourceCall, port: CallerPort): Promise<Reply>
  subscribe(subscription: ResourceSubscription): Promise<() => Promise<void>>
  followTask(task: FollowedTask): Promise<() => Promise<void>>
  announce(session: CallerSession, method: string, params: JsonObject): Promise<void>
  endSession(sessionKey: string): Promise<void>
  usage(): SourceUsage
  close(): Promise<void>
}
