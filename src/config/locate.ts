import type { KeyPath } from './finding.ts'
import { TomlScanner } from './scan.ts'

/** A place in the document: its line, whether a `[header]` or a key gave it, and what lies below. */
type Place = { line: number; isExplicit: boolean; items: number; readonly below: Map<string | number, Place> }

/** The line of a key path; of its nearest ancestor when the document has no such key. Lines count from 1. */
export type Locate = (path: KeyPath) => number

/**
 * Finds the line of every table, key and array element in a TOML document that a parser has already accepted.
 * A table is on the line of its header, or else where it is first mentioned.
 */
export function locateKeys(text: string): Locate {
  const root = newPlace(1)
  new DocumentWalk(text, root).walk()
  return (path) => {
    let place = root
    for (const step of path) {
      const next = place.below.get(step)
      if (!next) break
      place = next
    }
    return place.line
  }
}

function newPlace(line: number): Place {
  return { line, isExplicit: false, items: 0, below: new Map() }
}

class DocumentWalk {
  readonly #scan: TomlScanner
  readonly #root: Place
  #table: Place

  constructor(text: string, root: Place) {
    this.#scan = new TomlScanner(text)
    this.#root = root
    this.#table = root
  }

  walk(): void {
    const scan = this.#scan
    for (scan.skipBlank(); !scan.isAtEnd(); scan.skipBlank()) {
      if (scan.take('[[')) this.#enterItem()
      else if (scan.take('[')) this.#enterTable()
      else this.#readMember(this.#table)
    }
  }

  // `[a.b]`: every step on the way that is an array of tables means its newest item.
  #enterTable(): void {
    const { line } = this.#scan
    const keys = this.#scan.readKey()
    this.#scan.take(']')
    let place = this.#root
    for (const key of keys) place = newestItem(descend(place, key, line))
    this.#table = state(place, line)
  }

  // `[[a.b]]`: as above, and the last step gets a new item.
  #enterItem(): void {
    const { line } = this.#scan
    const keys = this.#scan.readKey()
    this.#scan.take(']]')
    let place = this.#root
    for (const key of keys.slice(0, -1)) place = newestItem(descend(place, key, line))
    const list = descend(place, keys.at(-1) ?? '', line)
    this.#table = state(addItem(list, line), line)
  }

  #readMember(table: Place): void {
    let place = table
    // Keys of one member may stand on their own line in an inline table, but a dotted key never crosses a line.
    const { line } = this.#scan
    for (const key of this.#scan.readKey()) place = descend(place, key, line)
    this.#scan.take('=')
    this.#readValue(place)
  }

  #readValue(place: Place): void {
    const scan = this.#scan
    scan.skipBlank()
    if (scan.take('[')) this.#readArray(place)
    else if (scan.take('{')) this.#readInlineTable(place)
    else scan.skipScalar()
  }

  #readArray(place: Place): void {
    const scan = this.#scan
    for (scan.skipBlank(); !scan.isAtEnd() && !scan.take(']'); scan.skipBlank()) {
      if (scan.take(',')) continue
      this.#readValue(addItem(place, scan.line))
    }
  }

  #readInlineTable(place: Place): void {
    const scan = this.#scan
    for (scan.skipBlank(); !scan.isAtEnd() && !scan.take('}'); scan.skipBlank()) {
      if (scan.take(',')) continue
      this.#readMember(place)
    }
  }
}

function descend(place: Place, key: string, line: number): Place {
  const known = place.below.get(key)
  if (known) return known
  const made = newPlace(line)
  place.below.set(key, made)
  return made
}

function newestItem(place: Place): Place {
  return place.items === 0 ? place : (place.below.get(place.items - 1) ?? place)
}

function addItem(place: Place, line: number): Place {
  const made = newPlace(line)
  place.below.set(place.items, made)
  place.items += 1
  return made
}

/** The header of a table says where it is, even when something below it was mentioned before. */
function state(place: Place, line: number): Place {
  if (!place.isExplicit) place.line = line
  place.isExplicit = true
  return place
}
