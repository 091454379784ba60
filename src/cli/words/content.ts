import { isJsonObject, type Json } from '#kernel'
import { safe } from './table.ts'

type Content = { readonly content: readonly Readonly<Record<string, unknown>>[]; readonly structuredContent?: unknown }

/** A tool's result as text: what is text as it is, anything else named with its size. */
export function showContent({ content, structuredContent }: Content): string {
  if (content.length > 0) return content.map((block) => `${safe(showBlock(block))}\n`).join('')
  return structuredContent === undefined ? '' : `${JSON.stringify(structuredContent, null, 2)}\n`
}

function showBlock(block: Readonly<Record<string, unknown>>): string {
  const { type, text, data, mimeType, uri, name, resource } = block
  switch (type) {
    case 'text':
      return typeof text === 'string' ? text : ''
    case 'image':
    case 'audio':
      return `[${type} ${textOr(mimeType, '')}, ${sizeOf(data)}]`
    case 'resource_link':
      return `[link ${textOr(name, '')} ${textOr(uri, '')}]`
    case 'resource':
      return showResource(resource)
    default:
      return JSON.stringify(block)
  }
}

function showResource(resource: unknown): string {
  const { uri, text, mimeType, blob } = isRecord(resource) ? resource : {}
  if (typeof text === 'string') return text
  return `[resource ${textOr(uri, '')} ${textOr(mimeType, '')}, ${sizeOf(blob)}]`
}

/** Of base64. */
function sizeOf(data: unknown): string {
  return `${typeof data === 'string' ? Math.floor((data.length * 3) / 4) : 0} bytes`
}

const textOr = (value: unknown, other: string): string => (typeof value === 'string' ? value : other)
const isRecord = (value: unknown): value is Readonly<Record<string, Json | undefined>> => isJsonObject(value)
