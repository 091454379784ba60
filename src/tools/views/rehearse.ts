import type { Content, Subject } from '#content'
import { isJsonObject, type JsonObject } from '#kernel'
import type { PlannedCall, Rehearsal } from '#policy'
import type { House } from '../house.ts'
import { fillArguments } from './override.ts'
import { wantsApproval, type GatewayView, type ToolBinding } from './view.ts'

/**
 * Goes the way of a call as far as the hooks, without making it: pinned and default arguments, content rules, and whether
 * a person has to approve it. For whoever asks why something is refused; nothing is sent, counted or recorded.
 */
export type RehearsalDeps = {
  readonly house: Pick<House, 'snapshot' | 'server'>
  readonly content: Pick<Content, 'screen' | 'reveal'>
}

export async function rehearse(deps: RehearsalDeps, call: PlannedCall): Promise<Rehearsal> {
  const { thing, args } = call
  const view = deps.house.snapshot().views.get(thing.gateway)
  const binding = view && bindingOf(view, call)
  const known = {
    args,
    inputs: {},
    content: [],
    stopped: null,
    approval: askedByGateway(view, call),
    secrets: secretsOf(deps, thing.server),
  }
  if (args === undefined && thing.kind !== 'resource') return known
  const override = binding?.override
  const filled = fillArguments(args ?? {}, override)
  if (!filled.ok) {
    const words = `argument "${filled.refused}" is set by the gateway and may not be sent`
    return { ...known, stopped: { id: 'gateway:overrides', words } }
  }
  const screened = await screen(deps, call, binding)
  const inputs = fillArguments(screened.sent, override)
  return {
    ...known,
    args: args && filled.arguments,
    inputs: inputs.ok ? inputs.arguments : {},
    content: screened.found,
    stopped: screened.stopped,
    approval: screened.approval ?? known.approval,
  }
}

function secretsOf({ house }: RehearsalDeps, server: string): string[] {
  const config = house.server(server)?.config
  return config?.transport === 'worker' ? Object.keys(config.secrets) : []
}

function bindingOf({ toolByName }: GatewayView, { thing }: PlannedCall): ToolBinding | undefined {
  return toolByName.values().find((one) => one.thing.key === thing.key)
}

function askedByGateway(view: GatewayView | undefined, { thing }: PlannedCall): Rehearsal['approval'] {
  if (view === undefined || thing.kind !== 'tool' || !wantsApproval(view.approve, thing)) return null
  return { id: 'gateway:approve', words: 'the gateway asks for it ("approve" in its configuration)' }
}

type Passed = Pick<Rehearsal, 'stopped' | 'approval'> & {
  /** As the caller may send it, with their tokens. */
  readonly sent: JsonObject
  readonly found: Rehearsal['content']
}

/** What the content rules make of the arguments, as `call/content.ts` has it in a call. */
async function screen({ content }: RehearsalDeps, call: PlannedCall, binding?: ToolBinding): Promise<Passed> {
  const schema = binding?.definition['inputSchema']
  const message = (value: JsonObject) =>
    ({ kind: 'params', value, ...(isJsonObject(schema) ? { schema } : {}) }) as const
  const subject = subjectOf(call)
  const params: JsonObject =
    call.thing.kind === 'resource' ? { uri: call.thing.name } : { name: call.thing.name, arguments: call.args ?? {} }
  const revealed = content.reveal(subject, params)
  const { outcome, by, value, applied } = await content.screen('input', subject, message(revealed))
  const kept = revealed === params ? value : (await content.screen('input', subject, message(params))).value
  const words = by === null ? 'it is nested too deeply to be checked' : noted(by)
  const decided = { id: by === null ? 'content' : `content:${by.name}`, words }
  const sent = kept['arguments']
  return {
    sent: isJsonObject(sent) ? sent : {},
    found: applied.map(({ name, effect, found }) => ({ rule: name, effect, found })),
    stopped: outcome === 'blocked' || outcome === 'withheld' ? decided : null,
    approval: outcome === 'needs-approval' ? decided : null,
  }
}

function noted({ name, note }: { name: string; note: string | null }): string {
  return `content rule ${name}${note === null ? '' : ` (${note})`}`
}

function subjectOf({ thing, user }: PlannedCall): Subject {
  return {
    gateway: thing.gateway,
    server: { name: thing.server, tags: thing.tags },
    thing: thing.name,
    user,
  }
}
