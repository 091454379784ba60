/**
 * The thread that owns one SQLite connection, so that waiting for the disk never stops the house's event loop.
 * It answers requests in the order they came.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { SqliteFile } from './file.ts'
import type { NumberedRequest, Reply, WorkerStart } from './messages.ts'

if (parentPort) serve(parentPort, workerData)

function serve(port: NonNullable<typeof parentPort>, start: WorkerStart): void {
  const file = new SqliteFile(start)
  port.on('message', ({ number, request }: NumberedRequest) => {
    port.postMessage(answer(file, { number, request }))
    if (request.kind === 'close') port.close()
  })
}

function answer(file: SqliteFile, { number, request }: NumberedRequest): Reply {
  try {
    return { number, ok: true, result: file.perform(request) }
  } catch (error) {
    return { number, ok: false, message: error instanceof Error ? error.message : String(error), code: codeOf(error) }
  }
}

/** SQLite's extended result code, as text: '2067' is a taken unique value. */
function codeOf(error: unknown): string {
  return error instanceof Error && 'errcode' in error ? String(error.errcode) : ''
}
