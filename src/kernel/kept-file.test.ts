import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { keepFile } from './kept-file.ts'

test('of many who make a file at once all read the same whole text, and nothing is left beside it', async () => {
  const dir = join(await mkdtemp(join(tmpdir(), 'gatehouse-kept-')), 'data')
  const file = join(dir, 'id')
  const texts = await Promise.all(Array.from({ length: 20 }, (_, i) => keepFile(file, () => `text ${i}\n`)))

  expect(new Set(texts).size).toBe(1)
  expect(await keepFile(file, () => 'another')).toBe(texts[0])
  expect(await readdir(dir)).toEqual(['id'])
  expect([(await stat(dir)).mode & 0o777, (await stat(file)).mode & 0o777]).toEqual([0o700, 0o600])
  await rm(dir, { recursive: true })
})
