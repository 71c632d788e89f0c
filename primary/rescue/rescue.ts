/**
 * Builds a primary anew from what nodes keep, given the operator's recovery key: the longest log that the lost primary signed and
 * a node has, the rows that follow from it, the keys and accounts that are sealed in it; and begins the next epoch there. Blobs
 * come afterwards, when the nodes have found the primary again (missing.ts). What was begun and cut short goes on.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
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
  /** Keys and database are there, as a backup had them: what nodes have besides is added, or, where the primary went on without it, given up. */
  restored: boolean
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
  /** Ids of those that were sealed to an older recovery key. */
  unopened: string[]
  /** Tables of a later version, whose rows could not be written. */
  unknown: string[]
  nodes: AskedNode[]
}

/** Throws `conflict` where there is something that a rescue would destroy, or, for a restored primary, where there is none. */
export async function refuseIfInUse(keys: string, pool: pg.Pool, restored: boolean): Promise<void> {
  const { rows } = await pool.query<{ used: boolean }>(
    'select exists (select from password) and not (exists (select from escrow) and exists (select from epoch)) as used',
  )
  // The key of the log is what a rescue writes last.
  const hasKeys = await access(join(keys, 'log.pem')).then(
    () => true,
    () => false,
  )
  if (restored && hasKeys) return
  if (restored)
    throw new RegistryError('conflict', 'There is no primary here that was restored: leave --restored out', {
      code: 'rescue_not_restored',
    })
  if (rows[0]?.used || hasKeys)
    throw new RegistryError(
      'conflict',
      'There is a primary here already: rescue one into an empty folder (--data) and an empty database; or say --restored, if it is from a backup',
      { code: 'rescue_in_use' },
    )
}

export async function rescue(options: RescueOptions): Promise<Rescued> {
  const { pool, recovery, onProgress } = options
  const { sources, nodes } = await sourcesOf(options)
  const log = await RescuedLog.open(pool, { fleet: fleetOf(recovery.logKey), publicKey: recovery.logKey })
  for (const { beginnings } of sources) log.know(beginnings)
  const before = log.number
  const shared = options.restored ? await sharedWith(sources, log) : before
  await takeOver(log, sources, onProgress)
  // A log that goes on from the whole of this one is shared to its new end.
  const length = shared === before ? log.number : shared
  if (log.number === 0)
    throw new RegistryError('unavailable', 'No node that was asked has anything of the log; name others with --node')
  const { parcels, unopened } = await opened(pool, log, recovery)
  const files = parcels.get(KEYS_PARCEL) as KeyFiles | undefined
  if (!files && !options.restored)
    throw new RegistryError('corrupt', 'The keys of the primary are not sealed to this recovery key in the log', {
      code: 'sealed_to_another',
    })
  const added = log.number > before ? parcels : new Map<string, Parcel>()
  const unknown =
    !files || options.restored
      ? await inTransaction(pool, async (client) => {
          const key = createPrivateKey(await readFile(join(options.keys, 'log.pem')))
          await log.begin(client, length, { key: checkedKey(key, recovery), recovery, now: options.now() })
          return writeParcels(client, accountsIn(added))
        })
      : await restoreDatabase(options, log, parcels, files)
  if (files && !options.restored) await writeKeys(options.keys, files)
  const { epoch } = await headOf(pool)
  const { number: changes, hidden } = log
  return { epoch, changes, hidden, parcels: parcels.size, unopened, unknown, nodes }
}

/** As far as any node has it. One that fails or lies is asked no more. */
async function takeOver(log: RescuedLog, sources: readonly Source[], onProgress: (sentence: string) => void) {
  const trusted = new Set([...sources].sort((a, b) => b.epoch - a.epoch || b.number - a.number))
  const most = Math.max(...sources.map(({ number }) => number))
  const step = async () => {
    for (const source of trusted) {
      try {
        const page = await source.page(log.number)
        if (!page || page.items.length === 0) continue
        await log.take(await withContents(page, sources))
        onProgress(`${log.number} changes of ${most}`)
        return true
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error
        onProgress(`${source.url} is asked no more: ${error.message}`)
        trusted.delete(source)
      }
    }
    return false
  }
  while (await step());
}

/** What was sealed, and the next epoch, in one transaction; nothing where that was done before a crash. The names of unknown tables. */
async function restoreDatabase(
  { pool, recovery, now }: RescueOptions,
  log: RescuedLog,
  parcels: ReadonlyMap<string, Parcel | KeyFiles>,
  files: KeyFiles,
): Promise<string[]> {
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ done: boolean }>('select exists (select from escrow) as done')
    if (rows[0]?.done) return []
    const unknown = await writeParcels(client, accountsIn(parcels))
    await noteRescued(client, new Set(parcels.keys()), files, publicHalves(recovery).sealing)
    const key = checkedKey(createPrivateKey(Buffer.from(files['log.pem'] ?? '', 'base64')), recovery)
    await log.begin(client, log.number, { key, recovery, now: now() })
    return unknown
  })
}

function accountsIn(parcels: ReadonlyMap<string, Parcel | KeyFiles>): Map<string, Parcel> {
  return new Map([...parcels].flatMap(([id, parcel]) => (id === KEYS_PARCEL ? [] : [[id, parcel as Parcel] as const])))
}

/**
 * Up to where nodes have the log that is here. Entries carry random salts, so that logs that went apart have no later entry in
 * common. Too short a length costs nodes some fetching and nothing else, so nobody who lies does harm.
 */
async function sharedWith(sources: readonly Source[], log: RescuedLog): Promise<number> {
  const agrees = async (source: Source, number: number) => {
    const item = (await source.page(number - 1).catch(() => undefined))?.items[0]
    const own = await log.leaf(number)
    return !item || !own || item.number !== number || Buffer.compare(leafOf(item), own) === 0
  }
  let shared = log.number
  for (const source of sources) {
    if (await agrees(source, shared)) continue
    let [same, other] = [0, shared]
    while (other - same > 1) {
      const middle = Math.floor((same + other) / 2)
      if (await agrees(source, middle)) same = middle
      else other = middle
    }
    shared = same
  }
  return shared
}

async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const result = await work(client)
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}

async function headOf(pool: pg.Pool): Promise<{ epoch: number }> {
  const { rows } = await pool.query<{ epoch: string }>('select epoch from head')
  return { epoch: Number(rows[0]?.epoch ?? 1) }
}

async function sourcesOf({ nodes, recovery }: RescueOptions): Promise<{ sources: Source[]; nodes: AskedNode[] }> {
  const fleet = fleetOf(recovery.logKey)
  const asked = await Promise.all(
    nodes.map(async (url) => {
      try {
        const source = await Source.at(url, recovery)
        if (source.fleet !== fleet)
          throw new RegistryError('invalid', `${url} belongs to another fleet than the recovery key`)
        await source.greet()
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
async function opened(pool: pg.Pool, { epoch, number }: RescuedLog, { sealing }: RecoveryKey) {
  const state = await State.open(new PostgresRows(pool), { epoch, number })
  const parcels = new Map<string, Parcel | KeyFiles>()
  const unopened: string[] = []
  for (const { id, sealed } of state.accessAll('escrow')) {
    try {
      const bytes = openSealed(sealing, id, Buffer.from(sealed, 'base64'))
      parcels.set(id, JSON.parse(bytes.toString('utf8')) as Parcel | KeyFiles)
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      unopened.push(id)
    }
  }
  return { parcels, unopened }
}

/** Throws `corrupt` unless it is the key that signed the log. */
function checkedKey(key: KeyObject, { logKey }: RecoveryKey): KeyObject {
  if (Buffer.compare(rawPublicKey(createPublicKey(key)), logKey) === 0) return key
  throw new RegistryError('corrupt', 'The recovery key is for the log of another fleet than the key of the log here')
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
