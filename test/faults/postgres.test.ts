/** Postgres killed with -9 and started again under a load of publishes: acknowledged writes are there, and everything goes on by itself. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Embedded, embedded } from '../../primary/postgres/embedded.js'
import { BOOK_REPOSITORIES, Book } from '../support/book.js'
import { until } from '../support/fleet.js'
import { type ProcessFleet, processFleet } from '../support/processes.js'

const WRITERS = 4
const KILLS = 3

describe('Postgres killed under load', { timeout: 120_000 }, () => {
  let dir: string
  let database: Embedded
  let fleet: ProcessFleet
  let book: Book
  const ready = async (): Promise<boolean> => (await fetch(`${fleet.primary.url}/ready`)).status === 200

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cairn-killed-pg-'))
    database = await embedded(dir)
    fleet = await processFleet({ nodes: 1, primary: { databaseUrl: database.url } })
    book = await Book.open(fleet.api, fleet.admin)
  })
  after(async () => {
    await fleet.close()
    await database.stop()
    await rm(dir, { recursive: true, force: true })
  })

  it('loses nothing that was acknowledged, and the pool connects again each time', async () => {
    const stop = new AbortController()
    const writers = Array.from({ length: WRITERS }, (_, writer) => write(`writer-${writer}`, stop.signal))
    for (let kill = 0; kill < KILLS; kill++) {
      await acknowledged(book.acknowledged().length + 20)
      process.kill(database.pid, 'SIGKILL')
      await until(async () => !(await ready()))
      await awayIsTold()
      database = await embedded(dir)
      await until(ready)
      await acknowledged(book.acknowledged().length + 20)
    }
    stop.abort()
    await Promise.all(writers)
    assert.deepEqual(
      book.attempts.filter(({ outcome }) => outcome !== 'acknowledged' && outcome !== 'unknown' && outcome !== 503),
      [],
    )
    await book.check(fleet.primary.url)
  })

  it('the node has everything, too, and the log has no gap', async () => {
    const number = async (url: string | undefined) =>
      ((await (await fetch(`${url}/health`)).json()) as { number: number }).number
    await until(async () => (await number(fleet.nodes[0]?.url)) === (await number(fleet.primary.url)))
    for (const node of fleet.nodes) await book.check(node.url)
  })

  it('the process is the same one all the time', () =>
    assert.equal(fleet.primary.exit, undefined, fleet.primary.output))

  async function write(name: string, signal: AbortSignal): Promise<void> {
    for (let n = 0; !signal.aborted; n++) {
      const { outcome } =
        n % 2 === 0
          ? await book.publish(fleet.primary.url, name, `1.${n}.0`)
          : await book.put(fleet.primary.url, `${name}/${n}`, randomBytes(500))
      if (outcome !== 'acknowledged') await until(async () => signal.aborted || (await ready()))
    }
  }

  async function acknowledged(count: number): Promise<void> {
    await until(async () => book.acknowledged().length >= count)
  }

  /** What a client hears meanwhile: a sentence and when to try again at the primary, the usual at a node. */
  async function awayIsTold(): Promise<void> {
    const reply = await fetch(`${fleet.primary.url}/repository/${BOOK_REPOSITORIES.generic}/never`, {
      method: 'PUT',
      body: 'x',
      headers: { authorization: fleet.admin },
    })
    assert.equal(reply.status, 503)
    assert.ok(Number(reply.headers.get('retry-after')) > 0)
    assert.match(((await reply.json()) as { detail: string }).detail, /database/)
    const known = book.acknowledged().find(({ kind }) => kind === 'npm')
    const at = await fetch(`${fleet.nodes[0]?.url}/repository/${BOOK_REPOSITORIES.npm}/${known?.name}`)
    assert.equal(at.status, 200)
    await at.arrayBuffer()
  }
})
