/**
 * Publishes many small versions straight into the ledger of a primary that does not run: records, log entries and rows exactly as
 * a publish leaves them, without the bytes that they name. For curves over the number of records only.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import pg from 'pg'
import { embedded } from '../../primary/postgres/embedded.js'
import { PostgresLedger } from '../../primary/postgres/ledger.js'
import { PostgresRows } from '../../primary/postgres/rows.js'
import { State } from '../../protocol/metadata/state.js'
import type { Digest, Step } from '../../protocol/records.js'

const STEPS_PER_PROPOSAL = 50
const AT_ONCE = 8
const VERSIONS_PER_PACKAGE = 100

/** `dir`: the primary's data. Adds versions number `from` up to, and not including, `to`. Returns the bytes of the log's new entries. */
export async function fill(dir: string, repository: string, from: number, to: number): Promise<number> {
  const server = await embedded(join(dir, 'postgres'))
  const pool = new pg.Pool({ connectionString: server.url, max: 4 })
  try {
    const { rows } = await pool.query<{ epoch: string; number: string }>('select epoch, number from head')
    const head = { epoch: Number(rows[0]?.epoch), number: Number(rows[0]?.number) }
    const state = await State.open(new PostgresRows(pool), head)
    const record = state.repository(repository)
    if (!record) throw new Error(`there is no repository ${repository}`)
    const ledger = new PostgresLedger(pool, state, () => new Date().toISOString())
    for (let next = from; next < to; ) {
      const proposals: Promise<unknown>[] = []
      for (let i = 0; i < AT_ONCE && next < to; i++) {
        const end = Math.min(to, next + STEPS_PER_PROPOSAL)
        proposals.push(ledger.commit({ scope: record.scope, steps: steps(next, end), by: 'bench' }))
        next = end
      }
      await Promise.all(proposals)
    }
    await ledger.close()
    const size = 'select sum(octet_length(body) + octet_length(salt)) as bytes from log where number > $1'
    const { rows: sizes } = await pool.query<{ bytes: string }>(size, [head.number])
    return Number(sizes[0]?.bytes ?? 0)
  } finally {
    await pool.end()
    await server.stop()
  }
}

function steps(from: number, to: number): Step[] {
  return Array.from({ length: to - from }, (_, i) => step(from + i))
}

function step(number: number): Step {
  const name = `filled-${Math.floor(number / VERSIONS_PER_PACKAGE)}`
  const version = `1.${number % VERSIONS_PER_PACKAGE}.0`
  const path = `${name}/-/${name}-${version}.tgz`
  const sha512 = createHash('sha512').update(path).digest('hex')
  const stored = {
    digest: sha512.slice(0, 64) as Digest,
    size: 20_000,
    root: sha512.slice(64),
    hashes: { sha1: sha512.slice(0, 40), sha512 },
  }
  const meta = JSON.stringify({
    dist: {
      tarball: path,
      shasum: stored.hashes.sha1,
      integrity: `sha512-${Buffer.from(sha512, 'hex').toString('base64')}`,
    },
    name,
    version,
    dependencies: { semver: '^7.6.0', yaml: '^2.5.0' },
    _id: `${name}@${version}`,
    description: 'One of many records',
  })
  const manifest = {
    package: name,
    version,
    files: [{ path, ...stored }],
    meta,
    publishedAt: '2026-01-01T00:00:00.000Z',
  }
  return { kind: 'publish', manifest, tags: ['latest'] }
}
