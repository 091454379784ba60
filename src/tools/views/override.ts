import { isJsonObject, type Json, type JsonObject } from '#kernel'
import type { GatewayConfig } from '../config.ts'
import type { Definition } from '../source.ts'

export type Override = GatewayConfig['overrides'][number]

/** The tool as this gateway shows it: its name here, the admin's words, and without the arguments that are not the caller's. */
export function showTool(definition: Definition, name: string, override: Override | undefined): Definition {
  if (!override) return definition['name'] === name ? definition : { ...definition, name }
  const shown: Record<string, Json | undefined> = { ...definition, name }
  if (override.title !== undefined) shown['title'] = override.title
  if (override.description !== undefined) shown['description'] = override.description
  const hidden = new Set([...override.hide, ...Object.keys(override.pin)])
  if (hidden.size > 0 || Object.keys(override.default).length > 0) {
    shown['inputSchema'] = showSchema(definition['inputSchema'], hidden, override.default)
  }
  return shown
}

function showSchema(schema: Json | undefined, hidden: ReadonlySet<string>, defaults: Override['default']): JsonObject {
  const base = isJsonObject(schema) ? schema : { type: 'object' }
  const properties = isJsonObject(base['properties']) ? base['properties'] : {}
  const required = Array.isArray(base['required']) ? base['required'] : []
  const shown = Object.entries(properties).filter(([key]) => !hidden.has(key))
  return {
    ...base,
    properties: Object.fromEntries(
      shown.map(([key, value]) => [key, withDefault(value, Object.hasOwn(defaults, key) ? defaults[key] : undefined)]),
    ),
    required: required.filter(
      (key: Json) => typeof key === 'string' && !hidden.has(key) && !Object.hasOwn(defaults, key),
    ),
  }
}

function withDefault(property: Json | undefined, value: Json | undefined): Json | undefined {
  return value === undefined || !isJsonObject(property) ? property : { ...property, default: value }
}

/** The arguments as the server gets them: defaults below, the caller's, pins above; hidden ones are refused by name. */
export function fillArguments(
  sent: JsonObject,
  override: Override | undefined,
): { ok: true; arguments: JsonObject } | { ok: false; refused: string } {
  if (!override) return { ok: true, arguments: sent }
  const refused = [...override.hide, ...Object.keys(override.pin)].find((key) => Object.hasOwn(sent, key))
  if (refused !== undefined) return { ok: false, refused }
  return { ok: true, arguments: { ...override.default, ...sent, ...override.pin } }
}
