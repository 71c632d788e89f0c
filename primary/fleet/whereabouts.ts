/**
 * Where the bytes are: how many copies there are of what each repository holds, at the primary and in the caches of the nodes that
 * answer, and what would be gone if one place went. Of large registries it looks at a sample, the digests that begin with some zero
 * bits; counts and bytes are then estimates of the whole.
 */
import type pg from 'pg'
import type { Digest } from '../../protocol/records.js'
import { endOfSample } from '../../protocol/wire/holdings.js'
import type { Holdings } from './holdings.js'

export interface WhereaboutsOptions {
  pool: Pick<pg.Pool, 'query'>
  holdings: Pick<Holdings, 'ask'>
  /** At the primary. */
  has: (digest: Digest) => Promise<boolean>
  keyOf: (scope: string) => string | undefined
  /** Blobs that are looked at, about. */
  sample?: number
}

/** Blobs, and their bytes. */
export interface Amount {
  blobs: number
  bytes: number
}

/** The primary, or all nodes of a site, or a node that has no site's name. */
export interface Place extends Amount {
  place: string
  nodes: number
  /** Nowhere else. */
  only_here: Amount
}

export interface RepositoryCopies extends Amount {
  key: string
  /** Of a blob, on average, the primary's included. */
  copies: number
  /** With one copy. */
  single: Amount
  /** With none, as far as was heard. */
  none: Amount
}

export interface Whereabouts {
  /** 1: all were looked at. */
  share: number
  /** Nodes that listen and did not answer. */
  silent: number
  places: Place[]
  repositories: RepositoryCopies[]
}

interface Blob {
  scopes: Set<string>
  bytes: number
  /** Every node by itself. */
  copies: number
  places: Set<string>
}

const PRIMARY = 'primary'
const SAMPLE = 20_000
const DEADLINE_MS = 5_000

export async function whereabouts(options: WhereaboutsOptions): Promise<Whereabouts> {
  const { pool, holdings, has, keyOf, sample = SAMPLE } = options
  const bits = await bitsFor(pool, sample)
  const blobs = await recorded(pool, bits)
  const { told, silent } = await holdings.ask(bits, DEADLINE_MS)
  const nodes = new Map<string, number>([[PRIMARY, 1]])
  for (const [digest, blob] of blobs) if (await has(digest)) put(blob, PRIMARY)
  for (const { node, site, digests } of told) {
    const place = site ?? node.name
    nodes.set(place, (nodes.get(place) ?? 0) + 1)
    for (const digest of digests) put(blobs.get(digest), place)
  }
  const share = 2 ** -bits
  return {
    share,
    silent,
    places: [...nodes].map(([place, count]) => placeOf(place, count, [...blobs.values()], share)),
    repositories: repositoriesOf([...blobs.values()], keyOf, share),
  }
}

/** By the planner's estimate: counting costs as much as the whole report. */
async function bitsFor(pool: WhereaboutsOptions['pool'], sample: number): Promise<number> {
  const { rows } = await pool.query<{ reltuples: number }>(`select reltuples from pg_class where relname = 'record'`)
  return Math.max(0, Math.ceil(Math.log2(Math.max(1, rows[0]?.reltuples ?? 0) / sample)))
}

async function recorded(pool: WhereaboutsOptions['pool'], bits: number): Promise<Map<Digest, Blob>> {
  const { rows } = await pool.query<{ scope: string; digest: Digest; bytes: string }>(
    `select scope, digest, max((value::json ->> 'size')::bigint) as bytes from record
     where kind = 'file' and until is null and digest < $1 and value::json ->> 'removedAt' is null group by scope, digest`,
    // Behind every digest.
    [endOfSample(bits) ?? 'g'],
  )
  const blobs = new Map<Digest, Blob>()
  for (const { scope, digest, bytes } of rows) {
    const blob = blobs.get(digest) ?? { scopes: new Set(), bytes: Number(bytes), copies: 0, places: new Set() }
    blob.scopes.add(scope)
    blobs.set(digest, blob)
  }
  return blobs
}

function put(blob: Blob | undefined, place: string): void {
  if (!blob) return
  blob.copies++
  blob.places.add(place)
}

function placeOf(place: string, nodes: number, blobs: readonly Blob[], share: number): Place {
  const here = blobs.filter(({ places }) => places.has(place))
  const only = here.filter(({ places }) => places.size === 1)
  return { place, nodes, ...amountOf(here, share), only_here: amountOf(only, share) }
}

function repositoriesOf(blobs: readonly Blob[], keyOf: WhereaboutsOptions['keyOf'], share: number): RepositoryCopies[] {
  const scopes = new Map<string, Blob[]>()
  for (const blob of blobs)
    for (const scope of blob.scopes) {
      const held = scopes.get(scope)
      if (held) held.push(blob)
      else scopes.set(scope, [blob])
    }
  return [...scopes]
    .flatMap(([scope, held]) => {
      const key = keyOf(scope)
      return key === undefined ? [] : [copiesOf(key, held, share)]
    })
    .sort((a, b) => (a.key < b.key ? -1 : 1))
}

function copiesOf(key: string, blobs: readonly Blob[], share: number): RepositoryCopies {
  const sum = blobs.reduce((all, { copies }) => all + copies, 0)
  return {
    key,
    ...amountOf(blobs, share),
    copies: Math.round((sum / blobs.length) * 100) / 100,
    single: amountOf(
      blobs.filter(({ copies }) => copies === 1),
      share,
    ),
    none: amountOf(
      blobs.filter(({ copies }) => copies === 0),
      share,
    ),
  }
}

function amountOf(blobs: readonly Blob[], share: number): Amount {
  return {
    blobs: Math.round(blobs.length / share),
    bytes: Math.round(blobs.reduce((sum, { bytes }) => sum + bytes, 0) / share),
  }
}
