import { expect, test } from 'vitest'
import { changesAt, dueAt, nextKeys, OVERLAP_MS, PUBLISHED_MS, statesAt } from './plan.ts'
import type { Timed } from './schema.ts'

const DAY = 86_400_000
const ROTATE = 90 * DAY
const key = (number: number, signsAt: number): Timed => ({
  kid: `k${number}`,
  alg: 'ES256',
  number,
  createdAt: signsAt,
  signsAt,
})
const told = (keys: readonly Timed[], now: number) =>
  statesAt(keys, now).map(({ shown }) => `${shown.kid} ${shown.state}`)

test('a key is published, signs, retires and is gone, and the one that signs is always the first', () => {
  const keys = [key(1, 0), key(2, ROTATE)]

  expect(told(keys, ROTATE - 1)).toEqual(['k1 signing', 'k2 next'])
  expect(told(keys, ROTATE)).toEqual(['k2 signing', 'k1 retired'])
  expect(told(keys, ROTATE + OVERLAP_MS - 1)).toEqual(['k2 signing', 'k1 retired'])
  expect(told(keys, ROTATE + OVERLAP_MS)).toEqual(['k2 signing'])
})

test('a key that is made to sign at once passes by the one that waits, which never signs', () => {
  const keys = [key(1, 0), key(2, 1_000), key(3, 500)]

  expect(told(keys, 400)).toEqual(['k1 signing', 'k3 next', 'k2 next'])
  expect(told(keys, 500)).toEqual(['k3 signing', 'k2 retired', 'k1 retired'])
  expect(told(keys, 2_000)).toEqual(['k3 signing', 'k2 retired', 'k1 retired'])
})

test('nothing changes before the moment that is told', () => {
  const keys = [key(1, 0), key(2, ROTATE)]
  const moments = [1, ROTATE - 1, ROTATE, ROTATE + OVERLAP_MS - 1]

  expect(moments.filter((now) => told(keys, now).join() !== told(keys, changesAt(keys, now) - 1).join())).toEqual([])
  expect(changesAt(keys, 1)).toBe(OVERLAP_MS)
  expect(changesAt(keys, ROTATE + OVERLAP_MS)).toBe(Infinity)
})

test('the next key is made in time to be published for ten minutes, and once', () => {
  const first = key(1, 0)
  const made = { alg: 'ES256', number: 2, signsAt: ROTATE }
  const due = (keys: readonly Timed[], now: number) =>
    dueAt(keys, { now, rotateMs: ROTATE }).make.filter(({ alg }) => alg === 'ES256')

  expect(due([], 5)).toEqual([{ alg: 'ES256', number: 1, signsAt: 5 }])
  expect(due([first], ROTATE - PUBLISHED_MS - 1)).toEqual([])
  expect(due([first], ROTATE - PUBLISHED_MS)).toEqual([made])
  expect(due([first, key(2, ROTATE)], ROTATE - 1)).toEqual([])
})

test('a house that was off for long publishes its next key before it signs all the same', () => {
  const now = 3 * ROTATE

  expect(dueAt([key(1, 0)], { now, rotateMs: ROTATE }).make).toContainEqual({
    alg: 'ES256',
    number: 2,
    signsAt: now + PUBLISHED_MS,
  })
})

test('what is over is removed, and nothing else', () => {
  const keys = [key(1, 0), key(2, ROTATE)]

  expect(dueAt(keys, { now: ROTATE + OVERLAP_MS - 1, rotateMs: ROTATE }).remove).toEqual([])
  expect(dueAt(keys, { now: ROTATE + OVERLAP_MS, rotateMs: ROTATE }).remove).toEqual(['k1'])
})

test('who asks for new keys twice gets one, unless it has to sign now', () => {
  const keys = [key(1, 0), key(2, 1_000)]
  const ofEc = (at: 'now' | 'published') => nextKeys(keys, { now: 500, at }).filter(({ alg }) => alg === 'ES256')

  expect(ofEc('published')).toEqual([])
  expect(ofEc('now')).toEqual([{ alg: 'ES256', number: 3, signsAt: 500 }])
})
