/**
 * Builds a primary anew from what nodes keep, given the operator's recovery key: the longest log that the lost primary signed and
 * a node has, the rows that follow from it, the keys and accounts that are sealed in it; and begins the next epoch there. Blobs
 * come afterwards, when the nodes have found the primary again (missing.ts). What was begun and cut short goes on.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { access, mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import { RegistryError } from '../../protocol/errors.js'
import { rawPublicKey } from '../../protocol/log/checkpoint.js'
import { leafOf } from '../../protocol/log/entry.js'
import { State } from '../../protocol/metadata/state.js'
import { publicHalves, type RecoveryKey } from '../../protocol/recovery/key.js'
import { openSealed } from '../../protocol/recovery/sealed.js'
import { fleetOf } from '../keys.js'
import { PostgresRows } from '../postgres/rows.js'
import { KEYS_PARCEL, type KeyFiles, noteRescued } from '../recovery/escrow.js'
import { type Parcel, writeParcels } from '../recovery/parcels.js'
import { RescuedLog } from './log.js'
import { type Page, Source } from './source.js'

export interface RescueOptions {
  /** An empty database, with its schema. */
  pool: pg.Pool
  /** Folder for the primary's keys. */
  keys: string
  recovery: RecoveryKey
  /** URLs of nodes. */
  nodes: readonly string[]
  now: () => string
  onProgress: (sentence: string) => void
}

export interface AskedNode {
  url: string
  name: string | null
  /** Changes that it has. */
  changes: number | null
  /** Why it could not be asked. */
  error: string | null
}

export interface Rescued {
  epoch: number
  changes: number
  /** Changes whose contents no node that was asked may see. */
  hidden: number
  /** Sealed parcels that were opened. */
  parcels: number
  /** Tables of a later version, whose rows could not be written. */
  unknown: string[]
  nodes: AskedNode[]
}

/** Is there something that a rescue would destroy. Throws `conflict`. */
export async function refuseIfInUse(keys: string, pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ used: boolean }>(
    'select exists (select from password) or exists (select from epoch) as used',
  )
  const hasKeys = await access(join(keys, 'log.pem')).then(
    () => true,
    () => false,
  )
  if (rows[0]?.used || hasKeys)
    throw new RegistryError(
      'conflict',
      'There is a primary here already: rescue one into an empty folder (--data) and an empty database',
      { code: 'rescue_in_use' },
    )
}

export async function rescue(options: RescueOptions): Promise<Rescued> {
  const { pool, recovery, onProgress } = options
  const { sources, nodes } = await sourcesOf(options)
  const log = await RescuedLog.open(pool, { fleet: fleetOf(recovery.logKey), publicKey: recovery.logKey })
  const best = Math.max(...sources.map(({ epoch }) => epoch))
  const ahead = sources.filter(({ epoch }) => epoch === best).sort((a, b) => b.number - a.number)
  for (;;) {
    const page = await nextPage(ahead, log.number)
    if (!page) break
    await log.take(await withContents(page, sources))
    onProgress(`${log.number} changes of ${ahead[0]?.number ?? 0}`)
  }
  if (log.number === 0)
    throw new RegistryError('unavailable', 'No node that was asked has anything of the log; name others with --node')
  const parcels = await opened(pool, log, recovery)
  const files = parcels.get(KEYS_PARCEL) as unknown as KeyFiles | undefined
  if (!files) throw new RegistryError('corrupt', 'The log does not contain the keys of the primary that signed it')
  const key = logKeyIn(files, recovery)
  const ids = new Set(parcels.keys())
  parcels.delete(KEYS_PARCEL)
  const client = await pool.connect()
  try {
    await client.query('begin')
    const unknown = await writeParcels(client, [...parcels.values()])
    await noteRescued(client, ids, files, publicHalves(recovery).sealing)
    const { epoch, number } = await log.begin(client, key, recovery, options.now())
    // Before the commit: without them nothing could be signed, and a rescue that is begun again writes them again.
    await writeKeys(options.keys, files)
    await client.query('commit')
    return { epoch, changes: number, hidden: log.hidden, parcels: ids.size, unknown, nodes }
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}

async function sourcesOf({ nodes, recovery }: RescueOptions): Promise<{ sources: Source[]; nodes: AskedNode[] }> {
  const fleet = fleetOf(recovery.logKey)
  const asked = await Promise.all(
    nodes.map(async (url) => {
      try {
        const source = await Source.at(url, recovery)
        if (source.fleet !== fleet)
          throw new RegistryError('invalid', `${url} belongs to another fleet than the recovery key`)
        // Says whether the key is the right one.
        await source.page(0)
        return { url, source, error: undefined }
      } catch (error) {
        return { url, source: undefined, error }
      }
    }),
  )
  const sources = asked.flatMap(({ source }) => (source ? [source] : []))
  if (sources.length === 0) throw asked[0]?.error ?? new RegistryError('invalid', 'Name a node with --node')
  return {
    sources,
    nodes: asked.map(({ url, source, error }) => ({
      url,
      name: source?.name ?? null,
      changes: source?.number ?? null,
      error: error === undefined ? null : error instanceof Error ? error.message : String(error),
    })),
  }
}

/** From the first that has it. */
async function nextPage(sources: readonly Source[], after: number): Promise<Page | undefined> {
  for (const source of sources) {
    const page = await source.page(after).catch(() => undefined)
    if (page && page.items.length > 0) return page
  }
  return undefined
}

/** With the contents of entries that one node may not see, from others that may. */
async function withContents(page: Page, sources: readonly Source[]): Promise<Page> {
  const items = new Map(page.items.map((item) => [item.number, item]))
  const hidden = () => [...items.values()].filter((item) => 'leaf' in item).map(({ number }) => number)
  for (const source of sources) {
    let [first] = hidden()
    while (first !== undefined) {
      const other = await source.page(first - 1).catch(() => undefined)
      if (!other || other.items.length === 0) break
      for (const item of other.items) {
        const before = items.get(item.number)
        if (before && 'leaf' in before && 'body' in item && Buffer.compare(leafOf(item), before.leaf) === 0)
          items.set(item.number, item)
      }
      const last = other.items.at(-1)?.number ?? 0
      first = hidden().find((number) => number > last)
    }
  }
  return { ...page, items: [...items.values()] }
}

/** What is sealed in the log, by id. */
async function opened(pool: pg.Pool, { epoch, number }: RescuedLog, key: RecoveryKey): Promise<Map<string, Parcel>> {
  const state = await State.open(new PostgresRows(pool), { epoch, number })
  const parcels = state
    .accessAll('escrow')
    .map(({ id, sealed }) => [id, parcelOf(openSealed(key.sealing, id, Buffer.from(sealed, 'base64')))] as const)
  return new Map(parcels)
}

function parcelOf(bytes: Buffer): Parcel {
  return JSON.parse(bytes.toString('utf8')) as Parcel
}

/** Throws `corrupt` unless it is the key that signed the log. */
function logKeyIn(files: KeyFiles, { logKey }: RecoveryKey) {
  const key = createPrivateKey(Buffer.from(files['log.pem'] ?? '', 'base64'))
  if (Buffer.compare(rawPublicKey(createPublicKey(key)), logKey) === 0) return key
  throw new RegistryError('corrupt', 'What was sealed as the key of the log is another one')
}

async function writeKeys(dir: string, files: KeyFiles): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  // The log's key last: it says that all are there.
  const names = Object.keys(files).sort((a, b) => Number(a === 'log.pem') - Number(b === 'log.pem'))
  for (const name of names) {
    if (!/^[a-z0-9][a-z0-9.-]*$/i.test(name)) throw new RegistryError('corrupt', 'A sealed key has no proper name')
    const path = join(dir, name)
    await writeFile(`${path}.new`, Buffer.from(files[name] ?? '', 'base64'), { mode: 0o600, flush: true })
    await rename(`${path}.new`, path)
  }
}
