import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { quantile, round } from '../numbers.ts'

export type Flush = { readonly p50: number; readonly p99: number }

/** Milliseconds that this disk takes to make 4 KiB durable: no call that is recorded first can be answered sooner. */
export async function measureFlush(times: number): Promise<Flush> {
  const dir = await mkdtemp(join(tmpdir(), 'gatehouse-bench-disk-'))
  const file = await open(join(dir, 'file'), 'w')
  const block = Buffer.alloc(4096, 1)
  const taken: number[] = []
  for (let done = 0; done < times; done += 1) {
    const started = performance.now()
    await file.write(block)
    await file.datasync()
    taken.push(performance.now() - started)
  }
  await file.close()
  await rm(dir, { recursive: true, force: true })
  taken.sort((a, b) => a - b)
  return { p50: round(quantile(taken, 0.5)), p99: round(quantile(taken, 0.99)) }
}
