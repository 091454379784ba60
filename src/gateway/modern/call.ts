import { isJsonObject, Problem, type JsonObject } from '#kernel'
import type { CallMethod, CallOutcome, CallRequest, RpcError } from '#tools'
import { Answer } from '../answer.ts'
import { splitParams } from '../bridge/call-params.ts'
import { hasTasks, missingCapability } from '../bridge/capabilities.ts'
import { modernError } from '../bridge/errors.ts'
import { callPort } from '../bridge/port.ts'
import { modernResult } from '../bridge/results.ts'
import { acceptedTypes } from '../context.ts'
import { idempotencyKeyOf } from '../bridge/idempotency.ts'
import { INTERNAL_ERROR, INVALID_PARAMS, MISSING_CAPABILITY, NOT_ACCEPTABLE, rpcErrorOf } from '../problems.ts'
import { SseResponse } from '../sse.ts'
import { checkParamHeaders, paramHeadersOf } from './param-headers.ts'
import { lacksCapability, requireTasks } from './require-capability.ts'
import type { ModernRequest } from './session.ts'

/** Makes one call for a stateless client: one leg in, one outcome out. Throws Problems before the call is begun. */
export async function answerCall(request: ModernRequest, method: CallMethod): Promise<void> {
  if (method.startsWith('tasks/')) requireTasks(request.envelope.clientCapabilities, `"${method}"`)
  await checkHeaders(request, method)
  const answer = openAnswer(request)
  const call = callRequest(request, method, answer)
  try {
    const outcome = await request.face.tools.call(call)
    writeOutcome(request, method, { answer, outcome })
  } catch (error) {
    request.face.log.error({ err: error, method }, 'a call failed')
    answer.error(request.message.id, INTERNAL_ERROR, 500)
  }
}

function callRequest(request: ModernRequest, method: CallMethod, answer: Answer): CallRequest {
  const { exchange, envelope, message, session } = request
  const { params, progressToken, trace } = splitParams(message.params)
  const paramHeaders = method === 'tools/call' ? paramHeadersOf(exchange.req) : undefined
  const idempotencyKey = idempotencyKeyOf(exchange.req, message.params)
  const mayTask = method === 'tools/call' && hasTasks(envelope.clientCapabilities)
  return {
    admission: exchange.admission,
    face: 'mcp',
    method,
    params: method === 'tasks/update' ? { ...params, inputResponses: message.params.inputResponses } : params,
    session,
    port: callPort(answer, { progressToken, logLevel: envelope.logLevel, era: 'modern' }),
    ...retryOf(method, message.params),
    wantsProgress: progressToken !== undefined,
    ...(envelope.logLevel === undefined ? {} : { logLevel: envelope.logLevel }),
    ...(mayTask ? { task: { mode: 'may' } as const } : {}),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(paramHeaders === undefined ? {} : { paramHeaders }),
    ...(trace === undefined ? {} : { trace }),
    signal: answer.signal,
    requestBytes: exchange.body.length,
  }
}

/** The client's answers to an earlier `input_required`. `tasks/update` brings its answers as ordinary params. */
function retryOf(method: CallMethod, params: JsonObject): Pick<CallRequest, 'inputResponses' | 'requestState'> {
  const { inputResponses, requestState } = params
  if (inputResponses !== undefined && !isJsonObject(inputResponses)) {
    throw new Problem(INVALID_PARAMS, '"params.inputResponses" must be an object of answers by key.')
  }
  if (requestState !== undefined && typeof requestState !== 'string') {
    throw new Problem(INVALID_PARAMS, '"params.requestState" must be the string that came with "input_required".')
  }
  return {
    ...(inputResponses === undefined ? {} : { inputResponses }),
    ...(requestState === undefined ? {} : { requestState }),
  }
}

function openAnswer(request: ModernRequest): Answer {
  const { face, exchange } = request
  const accepts = acceptedTypes(exchange.req)
  if (!accepts.json && !accepts.stream) {
    throw new Problem(NOT_ACCEPTABLE, 'Send "Accept: application/json, text/event-stream".')
  }
  const { res } = exchange
  const { clock, pulse, limits, open } = face
  const openStream = () => new SseResponse(res, { clock, pulse, ...limits })
  return new Answer({
    res,
    clock,
    pulse,
    silenceMs: limits.silenceMs,
    openStream: accepts.stream ? openStream : null,
    streamOnly: !accepts.json,
    batchSize: null,
    survivesDisconnect: false,
    exchange,
    open,
  })
}

type Finished = { readonly answer: Answer; readonly outcome: CallOutcome }

function writeOutcome(request: ModernRequest, method: CallMethod, { answer, outcome }: Finished): void {
  const { id } = request.message
  switch (outcome.kind) {
    case 'complete':
      return answer.result(id, modernResult(outcome.result.bytes(), resultOptions(request, method)))
    case 'task':
      return answer.result(id, [Buffer.from(JSON.stringify({ ...outcome.task, ...stamp(request, 'task') }))])
    case 'input':
      return writeInput(request, answer, { inputRequests: outcome.requests, requestState: outcome.requestState })
    case 'error':
      return writeError(request, answer, outcome.error)
  }
}

function writeError(request: ModernRequest, answer: Answer, error: RpcError): void {
  const translated = modernError(error)
  if (translated.kind === 'input') return writeInput(request, answer, { inputRequests: translated.inputRequests })
  answer.error(request.message.id, translated.error, translated.status)
}

/** Asks the client; but never for what it did not declare (2026-07-28 basic/patterns/mrtr). */
function writeInput(request: ModernRequest, answer: Answer, input: Input): void {
  const { id } = request.message
  for (const asked of Object.values(input.inputRequests)) {
    const requiredCapabilities = missingCapability(asked, request.envelope.clientCapabilities)
    if (requiredCapabilities === null) continue
    const problem = lacksCapability(requiredCapabilities, `This call needs to ask the client for "${asked.method}".`)
    return answer.error(id, rpcErrorOf(problem), MISSING_CAPABILITY.status)
  }
  answer.result(id, [Buffer.from(JSON.stringify({ ...input, ...stamp(request, 'input_required') }))])
}

type Input = {
  readonly inputRequests: Extract<CallOutcome, { kind: 'input' }>['requests']
  readonly requestState?: string
}

function resultOptions(request: ModernRequest, method: CallMethod): Parameters<typeof modernResult>[1] {
  const serverInfo = request.face.houseJson
  if (method !== 'resources/read') return { serverInfo }
  const isRetry =
    request.message.params.inputResponses !== undefined || request.message.params.requestState !== undefined
  return { serverInfo, cache: { defaultTtlMs: 0, mayKeep: !isRetry } }
}

function stamp(request: ModernRequest, resultType: string): JsonObject {
  return { resultType, _meta: { 'io.modelcontextprotocol/serverInfo': request.face.house } }
}

async function checkHeaders({ face, exchange, message }: ModernRequest, method: CallMethod): Promise<void> {
  const { name } = message.params
  if (method !== 'tools/call' || typeof name !== 'string') return
  const found = face.tools.find(exchange.admission, name)
  const tool = found instanceof Promise ? await found : found
  if (tool === null) return
  checkParamHeaders(tool, {
    args: message.params.arguments,
    headers: paramHeadersOf(exchange.req) ?? {},
  })
}
