import { ArcadeError } from './errors.ts'
import type { ArcadeTool, Parameter } from './tools.ts'

type Fault = { readonly reason: string; readonly type: string }
type Read = { readonly value: unknown } | { readonly fault: Fault }

/**
 * Reads the inputs as the worker's models do, lenient towards numbers in strings and strict towards everything else.
 * Refuses missing, wrong and unknown inputs with one error that names each, never with the value itself.
 */
export function readInputs(tool: ArcadeTool, inputs: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const faults: { name: string; fault: Fault }[] = []
  const read: Record<string, unknown> = {}
  for (const parameter of tool.parameters) {
    const result = readInput(parameter, inputs)
    if ('fault' in result) faults.push({ name: parameter.name, fault: result.fault })
    else read[parameter.name] = result.value
  }
  const known = new Set(tool.parameters.map((parameter) => parameter.name))
  for (const name of Object.keys(inputs)) {
    if (!known.has(name))
      faults.push({ name, fault: { reason: 'Extra inputs are not permitted', type: 'extra_forbidden' } })
  }
  if (faults.length === 0) return read
  throw new ArcadeError('TOOL_RUNTIME_BAD_INPUT_VALUE', {
    className: 'ToolInputError',
    message: `Invalid input: ${faults.map(({ name, fault }) => `${name}: ${fault.reason}`).join('; ')}`,
    developerMessage: `Pydantic validation failed: ${faults.map(({ name, fault }) => `${name}[${fault.type}]`).join('; ')}`,
    statusCode: 400,
  })
}

function readInput(parameter: Parameter, inputs: Readonly<Record<string, unknown>>): Read {
  const value = inputs[parameter.name]
  if (value === undefined) {
    return parameter.isRequired
      ? { fault: { reason: 'Field required', type: 'missing' } }
      : { value: parameter.otherwise }
  }
  if (value === null && parameter.otherwise === null) return { value }
  if (parameter.choices !== undefined) return readChoice(value, parameter.choices)
  return readers[parameter.type](value)
}

const readers: Record<Parameter['type'], (value: unknown) => Read> = {
  string: (value) => (typeof value === 'string' ? { value } : bad('Input should be a valid string', 'string_type')),
  integer: readInteger,
  array: (value) => (Array.isArray(value) ? { value } : bad('Input should be a valid list', 'list_type')),
  json: (value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? { value }
      : bad('Input should be a valid dictionary', 'dict_type'),
}

function readInteger(value: unknown): Read {
  if (typeof value === 'boolean') return { value: Number(value) }
  if (typeof value === 'string') {
    const isWhole = /^\s*[+-]?\d+(\.0*)?\s*$/.test(value)
    if (isWhole) return { value: Number(value) }
    return bad('Input should be a valid integer, unable to parse string as an integer', 'int_parsing')
  }
  if (typeof value !== 'number') return bad('Input should be a valid integer', 'int_type')
  if (Number.isInteger(value)) return { value }
  return bad('Input should be a valid integer, got a number with a fractional part', 'int_from_float')
}

function readChoice(value: unknown, choices: readonly string[]): Read {
  if (typeof value === 'string' && choices.includes(value)) return { value }
  const listed = choices.map((choice) => `'${choice}'`)
  const last = listed.pop()
  return bad(`Input should be ${listed.join(', ')} or ${last}`, 'enum')
}

function bad(reason: string, type: string): Read {
  return { fault: { reason, type } }
}
