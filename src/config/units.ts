/** Values that people write as text: "30d", "4MiB", "127.0.0.1:8600". Each parser says undefined for anything else. */

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

const BYTE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1_000,
  KB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KiB: 1_024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
}

/** "30d", "90s", "500ms" in milliseconds. */
export function parseDuration(text: string): number | undefined {
  return parseAmount(text, DURATION_UNITS)
}

/** "4MiB", "512B", "1GB" in bytes. */
export function parseByteSize(text: string): number | undefined {
  return parseAmount(text, BYTE_UNITS)
}

function parseAmount(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d{1,15}) ?([A-Za-z]{1,3})$/.exec(text)
  if (!match) return undefined
  const [, amount = '', unit = ''] = match
  if (!Object.hasOwn(units, unit)) return undefined
  const total = Number(amount) * (units[unit] ?? Number.NaN)
  return Number.isSafeInteger(total) ? total : undefined
}

export type HostPort = { readonly host: string; readonly port: number }

/** "127.0.0.1:8600", "localhost:0" or "[::1]:8600"; the host comes back without brackets. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})$/.exec(text)
  if (!match) return undefined
  const port = Number(match[3])
  if (port > 65_535) return undefined
  return { host: match[1] ?? match[2] ?? '', port }
}
