/**
 * What an upstream offers under one name, as it is stored in a blob and read by primary and nodes alike. It is text, so that an
 * entry is cut out and never parsed:
 *
 *     {"created":…,"modified":…,"meta":…,"tags":{…}}
 *     ["1.0.0","2026-01-01T00:00:00.000Z",[{"path":…,"promised":{…}}]] TAB {…the version's entry…}
 *     …
 */

import { LRUCache } from 'lru-cache'
import { collect } from '../chunks.js'
import { RegistryError } from '../errors.js'
import type { Bytes } from '../ports.js'
import type { Offered, Package, Stored, Version } from '../records.js'

export interface Offer {
  version: string
  /** ISO 8601. */
  publishedAt: string
  files: Offered[]
  /** JSON text on one line. */
  meta: string
}

export interface Listed {
  /** ISO 8601. `modified` is '' where the upstream does not tell it: then it is when this was recorded. */
  created: string
  modified: string
  /** As `Package.meta`. */
  meta: string
  tags: Record<string, string>
  /** In order of publication. */
  versions: Offer[]
}

/** The same offers give the same text. */
export function encodeListing({ created, modified, meta, tags, versions }: Listed): string {
  const lines = versions.map(({ version, publishedAt, files, meta: entry }) => {
    const offered = files.map(({ path, promised }) => ({ path, promised }))
    return `${JSON.stringify([version, publishedAt, offered])}\t${entry}\n`
  })
  return `${JSON.stringify({ created, modified, meta, tags })}\n${lines.join('')}`
}

export class Listing {
  readonly tags: Record<string, string>
  readonly versions: ReadonlyMap<string, Version>
  readonly #package: Omit<Package, 'last'>
  readonly #owners = new Map<string, { version: Version; file: Offered }>()

  constructor(name: string, text: string) {
    const end = text.indexOf('\n')
    const head = JSON.parse(text.slice(0, end)) as Omit<Listed, 'versions'>
    const versions = new Map<string, Version>()
    for (let at = end + 1; at < text.length; ) {
      const next = text.indexOf('\n', at)
      const tab = text.indexOf('\t', at)
      const [version, publishedAt, files] = JSON.parse(text.slice(at, tab)) as [
        string,
        string,
        Omit<Offered, 'offered'>[],
      ]
      const offered = files.map((file): Offered => ({ ...file, offered: true }))
      const made = {
        package: name,
        version,
        publishedAt,
        files: offered,
        meta: text.slice(tab + 1, next),
        first: versions.size,
      }
      versions.set(version, made)
      for (const file of offered) this.#owners.set(file.path, { version: made, file })
      at = next + 1
    }
    this.versions = versions
    this.tags = head.tags
    const { created, modified, meta } = head
    this.#package = { name, versions: versions.size, created, modified, meta }
  }

  /** `at`: when it was recorded. */
  package(last: number, at: string): Package {
    return { ...this.#package, modified: this.#package.modified || at, last }
  }

  owner(path: string): { version: Version; file: Offered } | undefined {
    return this.#owners.get(path)
  }
}

const MAX_BYTES = 128 * 1024 * 1024

/** Listings that were read lately, over all repositories. */
export class Listings {
  readonly #kept: LRUCache<string, Listing>
  readonly #reading = new Map<string, Promise<Listing>>()

  /** `bytes`: memory for them, counted as text. */
  constructor(bytes: number) {
    this.#kept = new LRUCache({ maxSize: bytes, maxEntrySize: bytes })
  }

  /** What was stored a moment ago need not be read from there. */
  know(name: string, blob: Stored, text: string): void {
    if (blob.size <= MAX_BYTES)
      this.#kept.set(keyOf(name, blob), new Listing(name, text), { size: Math.max(1, blob.size) })
  }

  read(name: string, blob: Stored, open: () => Promise<Bytes>): Promise<Listing> | Listing {
    const key = keyOf(name, blob)
    const kept = this.#kept.get(key)
    if (kept) return kept
    const reading = this.#reading.get(key) ?? this.#read(key, name, blob, open).finally(() => this.#reading.delete(key))
    this.#reading.set(key, reading)
    return reading
  }

  async #read(key: string, name: string, blob: Stored, open: () => Promise<Bytes>): Promise<Listing> {
    if (blob.size > MAX_BYTES) throw new RegistryError('too_large', `What is offered as ${name} is too large`)
    const text = (await collect((await open()).read(), blob.size)).toString('utf8')
    const listing = new Listing(name, text)
    this.#kept.set(key, listing, { size: Math.max(1, blob.size) })
    return listing
  }
}

function keyOf(name: string, { digest }: Stored): string {
  return `${name}\0${digest}`
}
