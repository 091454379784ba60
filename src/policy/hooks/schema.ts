import * as z from 'zod'
import { whyNoTls } from './mutual-tls.ts'

/** When a hook is asked: which tools a user may see at all, before a call goes out, after its answer came. */
export const HOOK_POINTS = ['access', 'pre', 'post'] as const
export type HookPoint = (typeof HOOK_POINTS)[number]

const toolPattern = z
  .string()
  .min(1)
  .max(256)
  .regex(/^(tag:[^/]+|[^/]+\/.+|\*)$/, 'write it as server/tool, server/*, */name*, tag:NAME or *')

const pem = z.string().min(1).max(65_536)

/** One `[[hooks]]` of gatehouse.toml; the admin API takes the same shape. */
export const hookConfig = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'use 1–63 of a–z, 0–9 and "-"'),
    /** What `/pre`, `/post`, `/access` and `/health` are added to. */
    url: z.url({ protocol: /^https?$/ }).max(2048),
    points: z.array(z.enum(HOOK_POINTS)).min(1).max(HOOK_POINTS.length),
    /** Sent as `Authorization: Bearer …`; may be `${env:…}` or `${file:…}`. */
    token: z.string().min(1).max(4096).optional(),
    /** Signs every request; may be `${env:…}` or `${file:…}`. */
    signing_secret: z.string().min(16, 'use at least 16 characters').max(4096).optional(),
    /** A PEM certificate with which we prove who we are (mutual TLS), and its key; may be `${env:…}` or `${file:…}`. */
    client_cert: pem.optional(),
    client_key: pem.optional(),
    /** Who signed the hook's own certificate, in the place of what this machine trusts. */
    ca: pem.optional(),
    /** All of `before` are asked before any of `after`; in each, lower priorities first, then by name. */
    phase: z.enum(['before', 'after']).default('before'),
    priority: z.int().min(0).max(1_000_000).default(100),
    /** Of one try. */
    timeout_ms: z.int().min(50).max(60_000).default(5_000),
    /** After a 5xx answer, a time-out or a broken connection; never after an answer that could be read. */
    retries: z.int().min(0).max(5).default(1),
    /** When it cannot be asked: refuse, or go on as if it had agreed. */
    failure: z.enum(['closed', 'open']).default('closed'),
    /** How long an answer of `/access` is good for. */
    cache_seconds: z.int().min(1).max(86_400).default(300),
    /** Slugs; none: every gateway. */
    gateways: z.array(z.string().min(1).max(63)).max(100).default([]),
    /** `server/tool` with the server's own names and `*`; none: every tool. */
    tools: z.array(toolPattern).max(100).default([]),
    /** Hosts and CIDRs inside that a hook added by API may be reached at; one of the file may be anywhere. */
    allow_addresses: z.array(z.string().min(1).max(253)).max(64).default([]),
  })
  .superRefine((hook, ctx) => {
    const fault = whyNoTls(hook)
    if (fault !== null) ctx.addIssue({ code: 'custom', path: [fault.key], message: fault.message })
  })
export type HookConfig = Readonly<z.output<typeof hookConfig>>

/** In which order hooks are asked. */
export function inOrder(hooks: readonly HookConfig[]): HookConfig[] {
  const phases = ['before', 'after'] as const
  const rank = ({ phase }: HookConfig): number => phases.indexOf(phase)
  return hooks.toSorted((a, b) => rank(a) - rank(b) || a.priority - b.priority || (a.name < b.name ? -1 : 1))
}
