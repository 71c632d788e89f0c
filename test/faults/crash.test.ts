/** kill -9 at every step of a publish, at the primary and at a node: nothing acknowledged is lost, nothing is half-visible, no temporary file stays. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { FAILPOINTS, type Failpoint } from '../../protocol/failpoint.js'
import { Book } from '../support/book.js'
import { until } from '../support/fleet.js'
import { type Part, type ProcessFleet, processFleet } from '../support/processes.js'

/** While it applies what was published through it. */
const AT_NODE: Failpoint[] = ['before-apply', 'applied']
const AT_PRIMARY = FAILPOINTS.filter((name) => !AT_NODE.includes(name))
/** While it keeps the bytes that a client reads. */
const IN_CACHE: Failpoint[] = ['bytes-synced', 'blob-renamed', 'names-synced']
const LARGE = 300_000

describe('a process killed at a step of a publish', { timeout: 180_000 }, () => {
  let fleet: ProcessFleet
  let book: Book
  let round = 0
  const node = (): Part => {
    const [first] = fleet.nodes
    assert.ok(first)
    return first
  }
  before(async () => {
    fleet = await processFleet({ nodes: 1 })
    book = await Book.open(fleet.api, fleet.admin)
    await book.publish(fleet.primary.url, 'grown', '1.0.0')
    await book.put(fleet.primary.url, 'first', randomBytes(1000))
    assert.equal(book.acknowledged().length, 2)
  })
  after(() => fleet.close())

  /** Several at once, of all sizes: the step may come while others are at any other one. */
  const load = async (url: string): Promise<void> => {
    const version = `1.${++round}.0`
    await Promise.all([
      book.publish(url, 'grown', version),
      book.publish(url, `new-${round}`, '1.0.0', LARGE),
      book.put(url, `small-${round}`, randomBytes(1000)),
      book.put(url, `large-${round}`, randomBytes(LARGE)),
    ])
  }

  for (const step of AT_PRIMARY)
    it(`at the primary: ${step}`, async () => {
      await fleet.primary.kill()
      await fleet.primary.start(step)
      await load(fleet.primary.url)
      await fleet.primary.ended()
      assert.equal(fleet.primary.exit, 'SIGKILL')
      await fleet.primary.start()
      assert.deepEqual(await temporary(fleet.primary), [])
      await book.check(fleet.primary.url)
    })

  it('the node has heard of all that the primary committed', () => settled(fleet, book))

  for (const step of AT_NODE)
    it(`at a node that applies a publish: ${step}`, async () => {
      await node().kill()
      await node().start(step)
      await load(node().url)
      await node().ended()
      assert.equal(node().exit, 'SIGKILL')
      await node().start()
      // It may be writing one.
      await until(async () => (await temporary(node())).length === 0)
      await settled(fleet, book)
    })

  for (const step of IN_CACHE)
    it(`at a node that keeps what is read: ${step}`, async () => {
      await load(fleet.primary.url)
      await settled(fleet, book, false)
      await node().kill()
      await node().start(step)
      await assert.rejects(book.check(node().url))
      await node().ended()
      assert.equal(node().exit, 'SIGKILL')
      await node().start()
      // It may be writing one.
      await until(async () => (await temporary(node())).length === 0)
      await settled(fleet, book)
    })

  it('after all of it writes are taken everywhere, and no temporary file is left', async () => {
    const before = book.acknowledged().length
    for (const { url } of [fleet.primary, node()]) await load(url)
    assert.equal(book.acknowledged().length, before + 8)
    await settled(fleet, book)
    await until(async () => (await Promise.all([fleet.primary, node()].map(temporary))).flat().length === 0)
    const outcomes = new Set(book.attempts.map(({ outcome }) => outcome))
    assert.ok(outcomes.has('unknown'))
    assert.deepEqual(
      [...outcomes].filter((outcome) => typeof outcome === 'number' && outcome < 500),
      [],
    )
  })
})

/** The node has applied what the primary has, and both show what the book says. */
async function settled(fleet: ProcessFleet, book: Book, read = true): Promise<void> {
  await until(async () => (await number(fleet.nodes[0]?.url)) === (await number(fleet.primary.url)))
  if (read) for (const part of [fleet.primary, ...fleet.nodes]) await book.check(part.url)
}

async function number(url: string | undefined): Promise<number> {
  return ((await (await fetch(`${url}/health`)).json()) as { number: number }).number
}

/** Files below the part's data that are there only while something is written. */
async function temporary({ settings }: Part): Promise<string[]> {
  const all = await readdir(settings.data, { recursive: true })
  return all.filter(
    (path) => /(^|\/)(store|cache)\/(incoming|uploads)\/.|\.new$/.test(path) && !path.startsWith(join('postgres', '')),
  )
}
