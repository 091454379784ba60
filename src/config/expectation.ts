import * as z from 'zod'

type Issue = z.core.$ZodIssue

/** What a value should have been, to stand after its name: `must be a string`. */
export function expectation(issue: Issue): string {
  if (issue.code === 'invalid_value') return mustBeOneOf(optionsOf(issue))
  if (isAmountIssue(issue)) return `must ${amount(issue)}`
  const own = ownWords(issue.message)
  if (own !== undefined) return own
  if (issue.code === 'invalid_type') return `must be ${typeName(issue.expected)}`
  if (issue.code === 'invalid_format') return `must be ${formatName(issue)}`
  return 'is not valid'
}

// What the author of the schema says is better than what can be said in general.
function ownWords(message: string): string | undefined {
  if (message.startsWith('Invalid ')) return undefined
  return message.startsWith('must ') ? message : `is not valid: ${message}`
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'an array',
  object: 'a table',
  record: 'a table',
  date: 'a date',
}

function typeName(expected: string): string {
  return TYPE_NAMES[expected] ?? `of type ${expected}`
}

type AmountIssue = Extract<Issue, { code: 'too_small' | 'too_big' | 'not_multiple_of' }>

function isAmountIssue(issue: Issue): issue is AmountIssue {
  return issue.code === 'too_small' || issue.code === 'too_big' || issue.code === 'not_multiple_of'
}

function amount(issue: AmountIssue): string {
  switch (issue.code) {
    case 'too_small':
      return limit(issue.origin, 'at least', issue.minimum)
    case 'too_big':
      return limit(issue.origin, 'at most', issue.maximum)
    case 'not_multiple_of':
      return `be a multiple of ${issue.divisor}`
  }
}

function limit(origin: string, bound: string, count: number | bigint): string {
  const number = count.toLocaleString('en')
  switch (origin) {
    case 'string':
      return `have ${bound} ${number} ${count === 1 ? 'character' : 'characters'}`
    case 'array':
    case 'set':
    case 'map':
      return `have ${bound} ${number} ${count === 1 ? 'entry' : 'entries'}`
    default:
      return `be ${bound} ${number}`
  }
}

function formatName(issue: z.core.$ZodIssueInvalidStringFormat): string {
  if (issue.format === 'url') return 'a URL'
  if (issue.format === 'email') return 'an e-mail address'
  if (issue.format === 'regex' && issue.pattern !== undefined) return `text that matches ${issue.pattern}`
  return `a valid ${issue.format}`
}

/** `must be one of "a", "b"`. */
export function mustBeOneOf(options: readonly string[]): string {
  if (options.length === 1) return `must be ${JSON.stringify(options[0])}`
  return `must be one of ${options.map((option) => JSON.stringify(option)).join(', ')}`
}

/** The same as an addition to a sentence; nothing without options. */
export function oneOf(options: readonly string[]): string {
  return options.length === 0 ? '' : `; it ${mustBeOneOf(options)}`
}

/** What several issues expect, each once. */
export function messages(issues: readonly Issue[]): string {
  return [...new Set(issues.map(expectation))].join(', or ')
}

/** The words allowed where one of a few is expected. */
export function optionsOf(issue: Issue): readonly string[] {
  if (issue.code === 'invalid_value') return issue.values.map(String)
  if (issue.code === 'invalid_union' && 'options' in issue && Array.isArray(issue.options)) {
    return issue.options.map(String)
  }
  return []
}
