import { ArcadeError, ValueError } from './errors.ts'

export type CallContext = {
  readonly user_id?: string | null | undefined
  readonly authorization?:
    | { readonly token?: string | null | undefined; readonly user_info?: unknown }
    | null
    | undefined
  readonly secrets?: readonly { readonly key: string; readonly value: string }[] | null | undefined
  readonly metadata?: readonly { readonly key: string; readonly value: string }[] | null | undefined
}

export type Parameter = {
  readonly name: string
  readonly description: string
  readonly type: 'string' | 'integer' | 'array' | 'json'
  readonly choices?: readonly string[]
  readonly isRequired: boolean
  /** The default; `null` also means that the caller may say null. */
  readonly otherwise?: unknown
}

type Call = { readonly inputs: Readonly<Record<string, unknown>>; readonly context: CallContext }

export type ArcadeTool = {
  readonly toolkit: string
  readonly name: string
  readonly pythonName: string
  readonly description: string
  readonly parameters: readonly Parameter[]
  readonly output: {
    readonly description: string
    readonly schema: Readonly<Record<string, unknown>>
    readonly mayBeNull?: true
  }
  readonly requirements?: Readonly<Record<string, unknown>>
  readonly deprecation?: string
  readonly metadata?: Readonly<Record<string, unknown>>
  /** Shows what the wire allows and Arcade's Python library cannot produce: `real_worker.py` does not have it. */
  readonly isFakeOnly?: true
  run(call: Call): Record<string, unknown>
}

/** A ToolDefinition, with the nulls of the Python worker. */
export function definitionOf(tool: ArcadeTool): Record<string, unknown> {
  return {
    name: tool.name,
    fully_qualified_name: `${tool.toolkit}.${tool.name}`,
    description: tool.description,
    toolkit: { name: tool.toolkit, description: null, version: null },
    input: { parameters: tool.parameters.map(parameterOf) },
    output: {
      description: tool.output.description,
      available_modes: tool.output.mayBeNull ? ['value', 'error', 'null'] : ['value', 'error'],
      value_schema: valueSchema(tool.output.schema),
    },
    requirements: { authorization: null, secrets: null, metadata: null, ...tool.requirements },
    deprecation_message: tool.deprecation ?? null,
    metadata: tool.metadata ?? null,
    _meta: null,
  }
}

function parameterOf({ name, description, type, choices, isRequired }: Parameter): Record<string, unknown> {
  const schema = type === 'array' ? { val_type: 'array', inner_val_type: 'string' } : { val_type: type }
  const value_schema = valueSchema(choices === undefined ? schema : { ...schema, enum: choices })
  return { name, required: isRequired, description, value_schema, inferrable: true }
}

function valueSchema(schema: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return {
    val_type: null,
    inner_val_type: null,
    enum: null,
    properties: null,
    inner_properties: null,
    description: null,
    required_keys: null,
    inner_required_keys: null,
    nullable: null,
    ...schema,
  }
}

const required = (name: string, type: Parameter['type'], description: string): Parameter => ({
  name,
  type,
  description,
  isRequired: true,
})
const string = { val_type: 'string' }
const integer = { val_type: 'integer' }

export const arcadeTools: readonly ArcadeTool[] = [
  {
    toolkit: 'Math',
    name: 'Add',
    pythonName: 'add',
    description: 'Adds two numbers.',
    parameters: [required('a', 'integer', 'The first number'), required('b', 'integer', 'The second number')],
    output: { description: 'The sum', schema: integer },
    metadata: {
      classification: { service_domains: [] },
      behavior: { operations: ['read'], read_only: true, destructive: false, idempotent: true, open_world: false },
      extras: null,
    },
    run: ({ inputs }) => ({ value: Number(inputs['a']) + Number(inputs['b']) }),
  },
  {
    toolkit: 'Demo',
    name: 'Echo',
    pythonName: 'echo',
    description: 'Says it again.',
    parameters: [
      required('text', 'string', 'What to say'),
      { name: 'times', type: 'integer', description: 'How often', isRequired: false, otherwise: 1 },
      {
        name: 'style',
        type: 'string',
        description: 'In which voice',
        choices: ['plain', 'loud'],
        isRequired: false,
        otherwise: 'plain',
      },
      { name: 'tags', type: 'array', description: 'Words to add', isRequired: false, otherwise: null },
      { name: 'options', type: 'json', description: 'Anything', isRequired: false, otherwise: null },
    ],
    output: { description: 'What was said', schema: string },
    run: ({ inputs }) => {
      const tags = Array.isArray(inputs['tags']) ? inputs['tags'].map(String) : []
      const said = [...Array.from({ length: Number(inputs['times']) }, () => String(inputs['text'])), ...tags].join(' ')
      return { value: inputs['style'] === 'loud' ? said.toUpperCase() : said }
    },
  },
  {
    toolkit: 'Demo',
    name: 'WhoAmI',
    pythonName: 'who_am_i',
    description: 'Tells who is calling.',
    parameters: [],
    output: { description: 'The user id', schema: string },
    run: ({ context }) => ({ value: context.user_id ?? '' }),
  },
  {
    toolkit: 'Demo',
    name: 'NeedsSecret',
    pythonName: 'needs_secret',
    description: 'Uses a secret.',
    parameters: [],
    output: { description: 'The length of the secret', schema: string },
    requirements: { secrets: [{ key: 'API_KEY' }] },
    run: ({ context }) => {
      const secret = context.secrets?.find((item) => item.key.toLowerCase() === 'api_key')
      if (secret === undefined) throw new ValueError("Secret 'API_KEY' not found in context.")
      return { value: String(secret.value.length) }
    },
  },
  {
    toolkit: 'Demo',
    name: 'NeedsAuth',
    pythonName: 'needs_auth',
    description: 'Uses the token of the user.',
    parameters: [],
    output: { description: 'The length of the token', schema: string },
    requirements: {
      authorization: {
        provider_id: 'google',
        provider_type: 'oauth2',
        id: null,
        oauth2: { scopes: ['https://www.googleapis.com/auth/gmail.readonly'] },
      },
    },
    run: ({ context }) => ({ value: String((context.authorization?.token ?? '').length) }),
  },
  {
    toolkit: 'Demo',
    name: 'Fails',
    pythonName: 'fails',
    description: 'Fails in the way that is asked for.',
    parameters: [required('how', 'string', 'retry, context, fatal, upstream, rate_limit, plain or returns_wrong')],
    output: { description: 'Never', schema: integer },
    run: ({ inputs }) => {
      throw failures[String(inputs['how'])] ?? new ValueError('secret detail in a plain error')
    },
  },
  {
    toolkit: 'Demo',
    name: 'OldEcho',
    pythonName: 'old_echo',
    description: 'Says it again, the old way.',
    parameters: [required('text', 'string', 'What to say')],
    output: { description: 'What was said', schema: string },
    deprecation: 'Use Demo.Echo',
    run: ({ inputs }) => ({ value: inputs['text'] }),
  },
  {
    toolkit: 'Demo',
    name: 'Points',
    pythonName: 'points',
    description: 'Lists points.',
    parameters: [required('count', 'integer', 'How many')],
    output: {
      description: 'The points',
      schema: {
        val_type: 'array',
        inner_val_type: 'json',
        inner_properties: { x: valueSchema(integer), y: valueSchema(integer) },
        inner_required_keys: ['x', 'y'],
      },
    },
    run: ({ inputs }) => ({ value: Array.from({ length: Number(inputs['count']) }, (_, n) => ({ x: n, y: n })) }),
  },
  {
    toolkit: 'Demo',
    name: 'Nothing',
    pythonName: 'nothing',
    description: 'Answers nothing.',
    parameters: [],
    output: { description: 'Nothing', schema: string, mayBeNull: true },
    run: () => ({ value: '' }),
  },
  {
    toolkit: 'Demo',
    name: 'AsksConsent',
    pythonName: 'asks_consent',
    description: 'Wants the user to authorize first.',
    parameters: [],
    output: { description: 'Never', schema: string },
    isFakeOnly: true,
    run: () => ({
      requires_authorization: {
        authorization_url: 'https://accounts.example.com/authorize?id=fake-1',
        authorization_id: 'fake-1',
        scopes: ['mail.read'],
        status: 'pending',
      },
    }),
  },
  {
    toolkit: 'Demo',
    name: 'Chatty',
    pythonName: 'chatty',
    description: 'Logs at every level.',
    parameters: [],
    output: { description: 'What was said', schema: string },
    isFakeOnly: true,
    run: () => ({
      value: 'said',
      logs: ['debug', 'info', 'warning', 'error'].map((level) => ({
        message: `a ${level} line`,
        level,
        subtype: null,
      })),
    }),
  },
]

const failures: Record<string, ArcadeError> = {
  retry: new ArcadeError('TOOL_RUNTIME_RETRY', {
    className: 'RetryableToolError',
    message: 'Try again',
    developerMessage: 'dev: again',
    additionalPromptContent: 'Use x',
    retryAfterMs: 500,
    canRetry: true,
  }),
  context: new ArcadeError('TOOL_RUNTIME_CONTEXT_REQUIRED', {
    className: 'ContextRequiredToolError',
    message: 'Need more',
    developerMessage: 'dev: need',
    additionalPromptContent: 'Which one?',
  }),
  fatal: new ArcadeError('TOOL_RUNTIME_FATAL', {
    className: 'FatalToolError',
    message: 'Broken',
    developerMessage: 'dev: broken',
    statusCode: 500,
  }),
  upstream: new ArcadeError('UPSTREAM_RUNTIME_NOT_FOUND', {
    className: 'UpstreamError',
    message: 'Upstream said no',
    developerMessage: 'dev: upstream',
    statusCode: 404,
  }),
  rate_limit: new ArcadeError('UPSTREAM_RUNTIME_RATE_LIMIT', {
    className: 'UpstreamRateLimitError',
    message: 'Too fast',
    developerMessage: 'dev: fast',
    retryAfterMs: 1000,
    canRetry: true,
    statusCode: 429,
  }),
  returns_wrong: new ArcadeError('TOOL_RUNTIME_BAD_OUTPUT_VALUE', {
    className: 'ToolOutputError',
    message: 'Failed to serialize tool output',
    developerMessage: 'Validation error occurred while serializing tool output: 1 validation error for FailsOutput',
    statusCode: 500,
    stacktrace: 'Traceback (most recent call last):\n\nValidationError: 1 validation error for FailsOutput\n',
  }),
}
