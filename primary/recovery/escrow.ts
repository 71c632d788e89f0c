/**
 * Keeps what the primary would lose with its disk in the log, sealed to the operator's recovery key: its keys, and what the database
 * has besides the log. Looks every few seconds what has changed, and seals that only. Without a recovery key it does nothing.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type pg from 'pg'
import type { Ledger } from '../../protocol/ledger.js'
import type { Metadata } from '../../protocol/ports.js'
import { FLEET, type Step } from '../../protocol/records.js'
import { sealTo } from '../../protocol/recovery/sealed.js'
import { fingerprints, readParcel } from './parcels.js'

export interface EscrowOptions {
  pool: pg.Pool
  ledger: Pick<Ledger, 'commit'>
  metadata: Pick<Metadata, 'access'>
  /** Folder of the primary's keys. */
  keys: string
  nowMs: () => number
}

/** The parcel of files in the folder of keys: by name, base64. */
export type KeyFiles = Record<string, string>
export const KEYS_PARCEL = 'keys'
/** Who is said to have done it. */
const BY = 'escrow'
const STEPS = 50
/** Made again from its key. */
const CERTIFICATE = 'tls.crt'

type Queryable = Pick<pg.Pool, 'query'>

/** In the database of a primary that was rescued: what is in it is sealed already. */
export async function noteRescued(db: Queryable, ids: ReadonlySet<string>, files: KeyFiles, sealing: string) {
  const prints = [...(await fingerprints(db)), [KEYS_PARCEL, keysPrint(files)] as const]
  await noteSealed(
    db,
    prints.filter(([id]) => ids.has(id)),
    sealing,
  )
}

export class Escrow {
  readonly #options: EscrowOptions
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: EscrowOptions) {
    this.#options = options
  }

  /** Seals what has changed. Returns how many parcels were sealed or removed. */
  refresh(): Promise<number> {
    const done = this.#turn.then(() => this.#refresh())
    this.#turn = done.catch(() => undefined)
    return done
  }

  async #refresh(): Promise<number> {
    const { metadata, pool } = this.#options
    const recovery = metadata.access('recovery', 'key')
    if (!recovery) return 0
    const files = await this.#files()
    const wanted = await fingerprints(pool)
    wanted.set(KEYS_PARCEL, keysPrint(files))
    const { rows } = await pool.query<{ id: string; fingerprint: string; sealed_to: string }>(
      'select id, fingerprint, sealed_to from escrow',
    )
    const sealed = new Map(rows.map((row) => [row.id, `${row.sealed_to} ${row.fingerprint}`]))
    const due = [...wanted].filter(([id, print]) => sealed.get(id) !== `${recovery.sealing} ${print}`)
    const gone = [...sealed.keys()].filter((id) => !wanted.has(id))
    for (let i = 0; i < due.length; i += STEPS) await this.#seal(due.slice(i, i + STEPS), recovery.sealing, files)
    if (gone.length > 0) await this.#forget(gone)
    return due.length + gone.length
  }

  async #seal(due: [string, string][], sealing: string, files: KeyFiles): Promise<void> {
    const { pool, ledger, nowMs } = this.#options
    const to = Buffer.from(sealing, 'base64url')
    const steps: Step[] = []
    for (const [id] of due) {
      const parcel = id === KEYS_PARCEL ? files : await readParcel(pool, id)
      const sealed = sealTo(to, id, Buffer.from(JSON.stringify(parcel))).toString('base64')
      const record = { id, sealed, at: new Date(nowMs()).toISOString() }
      steps.push({ kind: 'access', subject: 'escrow', id, record })
    }
    await ledger.commit({ scope: FLEET, steps, by: BY })
    await noteSealed(pool, due, sealing)
  }

  async #forget(ids: string[]): Promise<void> {
    const steps = ids.map((id): Step => ({ kind: 'access', subject: 'escrow', id, record: null }))
    await this.#options.ledger.commit({ scope: FLEET, steps, by: BY })
    await this.#options.pool.query('delete from escrow where id = any($1)', [ids])
  }

  async #files(): Promise<KeyFiles> {
    const { keys } = this.#options
    const names = (await readdir(keys)).filter((name) => name !== CERTIFICATE && !name.endsWith('.new')).sort()
    const read = names.map(async (name) => [name, (await readFile(join(keys, name))).toString('base64')] as const)
    return Object.fromEntries(await Promise.all(read))
  }
}

async function noteSealed(db: Queryable, prints: readonly (readonly [string, string])[], sealing: string) {
  await db.query(
    `insert into escrow (id, fingerprint, sealed_to) select i, f, $3 from unnest($1::text[], $2::text[]) as t(i, f)
     on conflict (id) do update set fingerprint = excluded.fingerprint, sealed_to = excluded.sealed_to`,
    [prints.map(([id]) => id), prints.map(([, print]) => print), sealing],
  )
}

function keysPrint(files: KeyFiles): string {
  return createHash('sha256').update(JSON.stringify(files)).digest('hex')
}
