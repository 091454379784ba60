import fc from 'fast-check'
import { expect, test } from 'vitest'
import { aliasUri, assignNames, type NameWish } from './naming.ts'

const server = fc.constantFrom('a', 'b', 'files', 'very-long-server-name-that-goes-on-and-on')
const original = fc.oneof(
  fc.constantFrom('search', 'read', 'x.y', 'x_y', 'ünïcode', ''),
  fc.string({ maxLength: 140 }),
  fc.string({ minLength: 60, maxLength: 70, unit: fc.constantFrom('a', 'b') }),
)
const wishes = fc.uniqueArray(fc.record({ server, original }), {
  maxLength: 40,
  selector: (w) => `${w.server}/${w.original}`,
})

test('every name is unique, at most 64 characters, of A–Z a–z 0–9 _ -', () => {
  fc.assert(
    fc.property(wishes, (all) => {
      const names = assignNames([], all).map((assignment) => assignment.name)

      expect(new Set(names).size).toBe(all.length)
      expect(names.filter((name) => !/^[A-Za-z0-9_-]{1,64}$/.test(name))).toEqual([])
    }),
  )
})

test('a newcomer renames nobody, in whatever order it comes', () => {
  fc.assert(
    fc.property(wishes, wishes, (before, after) => {
      const first = assignNames([], before)
      const second = assignNames(first, [...after, ...before])

      const renamed = first.filter((old) => {
        const now = second.find((next) => next.server === old.server && next.original === old.original)
        return now?.name !== old.name
      })
      expect(renamed).toEqual([])
    }),
  )
})

test('a name that need not be changed is left to its owner, whoever comes first', () => {
  const names = assignNames(
    [],
    [
      { server: 'a', original: 'x.y' },
      { server: 'b', original: 'x_y' },
    ],
  )

  expect(names.map(({ name }) => name)).toEqual(['a_x_y', 'x_y'])
})

test.each(['日本語ツール', 'инструмент', '🚀', ''])(
  'the name "%s" can be told from others in the same script',
  (original) => {
    const [named] = assignNames([], [{ server: 'files', original }])

    expect(named?.name).toMatch(/^files_[0-9a-f]{8}$/)
  },
)

test('a member that goes and comes back has its old name', () => {
  const both: NameWish[] = [
    { server: 'a', original: 'search' },
    { server: 'b', original: 'search' },
  ]
  const first = assignNames([], both)
  const without = assignNames(first, both.slice(1))
  const again = assignNames([...first.slice(0, 1), ...without], both)

  expect(first.map((x) => x.name)).toEqual(['search', 'b_search'])
  expect(without.map((x) => x.name)).toEqual(['b_search'])
  expect(again.map((x) => x.name)).toEqual(['search', 'b_search'])
})

test("an admin's own choice wins over a name that was assigned by itself", () => {
  const first = assignNames([], [{ server: 'a', original: 'find' }])
  const second = assignNames(first, [
    { server: 'a', original: 'find' },
    { server: 'b', original: 'search', wished: 'find' },
  ])

  expect(second.map((x) => x.name)).toEqual(['a_find', 'find'])
})

test.each([
  ['ui://app/index.html', 'ui://b.gatehouse/app/index.html'],
  ['test://static-text', 'b+test://static-text'],
])('the second owner of %s is reached as %s', (uri, alias) => {
  expect(aliasUri('b', uri)).toBe(alias)
})
