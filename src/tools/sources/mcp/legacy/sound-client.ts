import { isJsonObject, type Json, type JsonObject } from '#kernel'

/**
 * What a caller says about itself, less what has not the shape of 2025-11-25. A strict server refuses a session over
 * one wrong member, which would look as if the server were broken, and take it away from everybody.
 */
export function soundClientInfo(said: JsonObject): JsonObject {
  const sound = keep(said, (key, value) => {
    if (key === 'icons') return Array.isArray(value) && value.every(isIcon)
    return !TEXTS.has(key) || typeof value === 'string'
  })
  // Servers up to 2025-11-25 insist on a name and a version.
  return { name: 'unknown', version: '0', ...sound }
}

/** Capabilities are objects of objects, but for a few switches. */
export function soundCapabilities(declared: JsonObject): JsonObject {
  const entries = Object.entries(declared).flatMap(([name, value]) =>
    isJsonObject(value) ? [[name, keep(value, name === 'roots' ? isSwitch : isFeature)] as const] : [],
  )
  return Object.fromEntries(entries)
}

const TEXTS: ReadonlySet<string> = new Set(['name', 'version', 'title', 'description', 'websiteUrl'])

function isIcon(icon: Json): boolean {
  if (!isJsonObject(icon) || typeof icon['src'] !== 'string') return false
  return Object.keys(icon).every((key) => key === 'src')
}

function isSwitch(_key: string, value: Json | undefined): boolean {
  return typeof value === 'boolean'
}

function isFeature(_key: string, value: Json | undefined): boolean {
  return isJsonObject(value) && Object.values(value).every((part) => isJsonObject(part) || typeof part === 'boolean')
}

function keep(object: JsonObject, isSound: (key: string, value: Json | undefined) => boolean): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key, value]) => isSound(key, value)))
}
