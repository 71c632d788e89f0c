/**
 * Random publishes, tags and removals by several writers over a primary and two nodes, while processes are killed with -9, stopped
 * and started; every body is hashed, and a model judges what was seen (support/history.ts). CAIRN_SEED repeats the same requests
 * and faults (not their timing), CAIRN_HISTORY_SECONDS lets it run longer.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sha256 } from './support/book.js'
import { until } from './support/fleet.js'
import { History, type Outcome } from './support/history.js'
import { packed, publishDocument } from './support/npm-package.js'
import { type Part, type ProcessFleet, processFleet } from './support/processes.js'
import { Random } from './support/random.js'

const SEED = Number(process.env.CAIRN_SEED ?? Math.floor(Math.random() * 2 ** 32))
const SECONDS = Number(process.env.CAIRN_HISTORY_SECONDS ?? 15)
const WRITERS = 4
const READERS = 3
const PACKAGES = ['alpha', 'beta', '@scope/gamma']
const VERSIONS = 40
const FILES = 120
const WRITE_MS = 4_000
const READ_MS = 1_000
/** Requests that are answered between two faults, and while one lasts; fewer while a process is stopped and keeps clients waiting. */
const CALM = 60
const STOPPED = 15
/** Writes that must have succeeded before it may end, however slow the machine is. */
const ENOUGH = 60
const SIZES = [10, 2_000, 70_000, 400_000]

describe(`a history of writes under faults (CAIRN_SEED=${SEED})`, { timeout: (SECONDS + 120) * 1000 }, () => {
  const history = new History()
  const random = new Random(SEED)
  let fleet: ProcessFleet
  let parts: Part[]
  let answers = 0
  let over = false
  const npm = (path: string): string => `/repository/packages/${path}`
  const file = (path: string): string => `/repository/files/${path}`

  before(async () => {
    fleet = await processFleet({ nodes: 2 })
    parts = [fleet.primary, ...fleet.nodes]
    for (const [key, format] of [
      ['packages', 'npm'],
      ['files', 'generic'],
    ])
      await fleet.api('POST', '/api/v1/repositories', { key, name: key, format, repo_type: 'local', is_public: true })
  })
  after(() => fleet.close())

  it(`shows at most one digest per path, whatever happens for ${SECONDS} s`, async () => {
    const end = performance.now() + SECONDS * 1000
    const [writers, readers] = [
      Array.from({ length: WRITERS }, () => random.fork()),
      Array.from({ length: READERS }, () => random.fork()),
    ]
    const working = [
      ...writers.map(async (own, index) => {
        while (!over) await write(own, index)
      }),
      ...readers.map(async (own) => {
        while (!over) await read(own)
      }),
    ]
    const faults = (async () => {
      try {
        while (performance.now() < end || history.counts.done < ENOUGH) await fault(random)
      } finally {
        over = true
      }
    })()
    await Promise.all([faults, ...working])
    assert.ok(history.counts.reads > ENOUGH, JSON.stringify(history.counts))
  })

  it('in the end every part shows the same, without a restart: what was acknowledged and nothing that was removed', async () => {
    await until(async () => new Set(await Promise.all(parts.map(({ url }) => number(url)))).size === 1, 30_000)
    for (const { url } of parts) await history.settle((path) => digestAt(url, path), url)
    const views = await Promise.all(parts.map(view))
    for (const other of views.slice(1)) assert.deepEqual(other, views[0])
  })

  it('every tag is where its owner put it last, and names a version that is there', async () => {
    for (const name of PACKAGES) {
      const reply = await fetch(fleet.primary.url + npm(name))
      if (reply.status === 404) continue
      const { versions, 'dist-tags': tags } = (await reply.json()) as Packument
      for (const [tag, version] of Object.entries(tags))
        assert.ok(version in versions, `${name}: ${tag} names ${version}`)
      for (let writer = 0; writer < WRITERS; writer++) {
        const model = history.tags.get(`${name} writer-${writer}`)
        const found = tags[`writer-${writer}`]
        // A tag goes with the version that it names.
        const gone = [...(model?.possible ?? [])].some(
          (version) => version !== undefined && history.path(npm(tarball(name, version))).removal !== 'none',
        )
        assert.ok(
          !model || model.possible.has(found) || (found === undefined && gone),
          `${name}: writer-${writer} is ${found}, and not ${[...(model?.possible ?? [])].join(' or ')}`,
        )
      }
    }
  })

  it('nothing was left behind by it in any process', async (t) => {
    t.diagnostic(`seed ${SEED}: ${JSON.stringify(history.counts)}`)
    for (const part of parts) assert.equal(part.exit, undefined, part.output)
  })

  // What clients do.

  async function write(own: Random, writer: number): Promise<void> {
    const { url } = own.pick(parts)
    const kind = own.below(10)
    if (kind < 4) await publish(own, url)
    else if (kind < 7) await put(own, url)
    else if (kind < 9) await tag(own, url, writer)
    else await remove(own, url)
  }

  async function publish(own: Random, url: string): Promise<void> {
    const name = own.pick(PACKAGES)
    const version = `1.${own.below(VERSIONS)}.0`
    const bytes = packed({ name, version }, [{ name: 'package/noise', content: noise(own) }])
    const body = JSON.stringify(publishDocument({ name, version }, { tarball: bytes }))
    await send(url, npm(tarball(name, version)), npm(name.replace('/', '%2f')), bytes, body)
  }

  async function put(own: Random, url: string): Promise<void> {
    const path = file(`folder-${own.below(4)}/file-${own.below(FILES)}`)
    const bytes = noise(own)
    await send(url, path, path, bytes, bytes)
  }

  /** `path`: what appears by it. Whoever wrote it reads it where it was written. */
  async function send(url: string, path: string, target: string, bytes: Buffer, body: string | Buffer): Promise<void> {
    const digest = sha256(bytes)
    history.path(path).sent.add(digest)
    const { outcome, applied } = await change(url + target, 'PUT', body)
    history.wrote(path, digest, outcome)
    if (outcome === 'done' && applied) await readOwn(url, path)
  }

  async function readOwn(url: string, path: string): Promise<void> {
    const found = await get(url, path)
    if (found === 'absent')
      assert.notEqual(history.path(path).removal, 'none', `${url} does not show what was just written there: ${path}`)
  }

  async function tag(own: Random, url: string, writer: number): Promise<void> {
    const name = own.pick(PACKAGES)
    const version = own.below(5) === 0 ? undefined : `1.${own.below(VERSIONS)}.0`
    const key = `${name} writer-${writer}`
    const target = npm(`-/package/${name.replace('/', '%2f')}/dist-tags/writer-${writer}`)
    history.tagging(key, version)
    const { outcome } =
      version === undefined
        ? await change(url + target, 'DELETE')
        : await change(url + target, 'PUT', JSON.stringify(version))
    history.tagged(key, version, outcome)
  }

  async function remove(own: Random, url: string): Promise<void> {
    const known = [...history.paths].filter(([, { written }]) => written !== undefined)
    if (known.length === 0) return
    const [path] = own.pick(known)
    const [, , key, ...rest] = path.split('/')
    history.removing(path)
    const { outcome } = await change(`${url}/api/v1/repositories/${key}/artifacts/${rest.join('/')}`, 'DELETE')
    history.removed(path, outcome)
  }

  async function read(own: Random): Promise<void> {
    const known = [...history.paths.keys()]
    if (known.length > 0) await get(own.pick(parts).url, own.pick(known))
    else await get(own.pick(parts).url, file('nothing'))
  }

  async function get(url: string, path: string): Promise<'present' | 'absent' | 'unknown'> {
    try {
      const reply = await fetch(url + path, { signal: AbortSignal.timeout(READ_MS) })
      const body = Buffer.from(await reply.arrayBuffer())
      answers++
      history.counts.reads++
      if (reply.status === 404) return 'absent'
      if (reply.status !== 200) return 'unknown'
      history.saw(path, sha256(body), url)
      return 'present'
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      await breath()
      return 'unknown'
    }
  }

  async function change(
    url: string,
    method: string,
    body?: string | Buffer,
  ): Promise<{ outcome: Outcome; applied: boolean }> {
    try {
      const reply = await fetch(url, {
        method,
        signal: AbortSignal.timeout(WRITE_MS),
        headers: { authorization: fleet.admin, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body }),
      } as RequestInit)
      await reply.arrayBuffer()
      answers++
      if (reply.status >= 500) await breath()
      const outcome = reply.ok ? 'done' : reply.status >= 500 ? 'unknown' : 'refused'
      return { outcome, applied: reply.headers.get('warning') === null }
    } catch {
      await breath()
      return { outcome: 'unknown', applied: false }
    }
  }

  // What happens to them.

  async function fault(own: Random): Promise<void> {
    await answered(CALM)
    const part = own.pick(parts)
    if (own.below(3) === 0) {
      process.kill(part.pid, 'SIGSTOP')
      try {
        await answered(STOPPED)
      } finally {
        process.kill(part.pid, 'SIGCONT')
      }
      return
    }
    await part.kill()
    await answered(CALM)
    await part.start()
  }

  async function answered(count: number): Promise<void> {
    const enough = answers + count
    await until(async () => answers >= enough, 30_000)
  }
})

interface Packument {
  versions: Record<string, { dist: { integrity: string } }>
  'dist-tags': Record<string, string>
  time: Record<string, string>
}

function tarball(name: string, version: string): string {
  return `${name}/-/${name.replace(/^.*\//, '')}-${version}.tgz`
}

/** Few random bytes, repeated: fast to make, and different each time. */
function noise(own: Random): Buffer {
  return Buffer.alloc(own.pick(SIZES), own.bytes(16))
}

/** After a failure, so that clients of a part that is away do not fill the machine. */
async function breath(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 10))
}

async function number(url: string): Promise<number> {
  return ((await (await fetch(`${url}/health`)).json()) as { number: number }).number
}

async function digestAt(url: string, path: string): Promise<string | undefined> {
  const reply = await fetch(url + path)
  const body = Buffer.from(await reply.arrayBuffer())
  assert.ok(
    reply.status === 200 || reply.status === 404,
    `${url}${path}: ${reply.status} ${body.toString('utf8', 0, 300)}`,
  )
  return reply.status === 200 ? sha256(body) : undefined
}

/** Everything that a part lists, without its own address. */
async function view({ url }: Part): Promise<unknown> {
  const packages = await Promise.all(
    PACKAGES.map(async (name) => {
      const reply = await fetch(`${url}/repository/packages/${name}`)
      return (await reply.text()).replaceAll(url, '')
    }),
  )
  const files: unknown[] = []
  let after = ''
  for (;;) {
    const reply = await fetch(`${url}/repository/files/?recursive&format=json${after}`)
    const page = (await reply.json()) as { files: unknown[]; next: string | null }
    files.push(page.files)
    if (page.next === null)
      return { packages: packages.map((text) => text.replace(/"request_id":"[^"]*"/, '')), files: files.flat() }
    after = `&after=${encodeURIComponent(page.next)}`
  }
}
