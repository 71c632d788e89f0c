/** Files through what people fetch files with: curl, wget and aria2, against the primary, a node, and the node with the primary gone. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ADMIN_PASSWORD, type TestFleet, testFleet, until } from '../support/fleet.js'
import { type Client, missing, newHome, program, type Ran, run } from './client.js'

const CURL = program('curl')
const WGET = program('wget')
const ARIA2 = program('aria2c')
const LOGIN = `admin:${ADMIN_PASSWORD}`
/** Large enough for aria2 to split it into sixteen parts. */
const LARGE = pseudoRandom(24 * 1024 * 1024)
const SMALL = Buffer.from('moss grows on the north side\n')

describe('file clients', { timeout: 120_000 }, () => {
  let fleet: TestFleet
  let home: string
  const url = (side: Side, path: string, key = 'files') =>
    `${side === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[0]}/repository/${key}/${path}`

  before(async () => {
    fleet = await testFleet({ nodes: 1 })
    home = await newHome(fleet.dir)
    for (const [key, is_public] of [
      ['files', true],
      ['closed', false],
    ] as const) {
      const draft = { key, name: key, format: 'generic', repo_type: 'local', is_public }
      await fleet.api('POST', '/api/v1/repositories', draft)
      await put(key, 'large.bin', LARGE)
      await put(key, 'small.txt', SMALL)
      const expected = is_public ? 200 : 401
      await until(async () => (await fetch(url('node', 'small.txt', key), { method: 'HEAD' })).status === expected)
    }
  })
  after(() => fleet.close())

  writesAt('primary')
  writesAt('node')
  readsAt('primary')
  readsAt('node')
  describe('with the primary gone', () => {
    before(() => fleet.stopPrimary())
    // Passwords are the primary's to check; a node knows tokens.
    readsAt('node', { wrongPassword: 503 })

    it('curl --fail ends with an error for an upload, and is told when to come back', missing(CURL), async () => {
      const file = await fileOf(SMALL)
      const { code, output } = await curl('-i', '--fail-with-body', '-u', LOGIN, '-T', file, url('node', 'later.txt'))
      assert.equal(code, 22)
      assert.match(output, / 503 /)
      assert.match(output, /^retry-after: \d+/im)
      assert.match(output, /primary cannot be reached/i)
    })
  })

  function writesAt(side: Side): void {
    describe(`writing at the ${side}`, missing(CURL), () => {
      const path = (name: string) => url(side, `${side}/${name}`)

      it('curl -T is asked who it is, and with -u it stores', async () => {
        const file = await fileOf(LARGE)
        const refused = await curl('-i', '-T', file, path('large.bin'))
        assert.match(refused.stdout, / 401 /)
        assert.match(refused.stdout, /^www-authenticate: basic/im)
        assert.equal(await status('-u', LOGIN, '-T', file, path('large.bin')), 201)
        assert.equal(await status('-u', LOGIN, '-T', file, path('large.bin')), 200, 'the same bytes again')
        assert.equal(await status('-u', LOGIN, '-T', await fileOf(SMALL), path('large.bin')), 409, 'other bytes')
        assert.ok(LARGE.equals(await got(path('large.bin'))), 'it reads where it wrote')
      })

      it('curl -T keeps the file’s name below a folder, and sends without a length', async () => {
        const file = await fileOf(SMALL)
        assert.equal(await status('-u', LOGIN, '-T', file, path('folder/')), 201)
        assert.ok(SMALL.equals(await got(path('folder/file'))))
        assert.equal(await status('-u', LOGIN, '-H', 'Transfer-Encoding: chunked', '-T', file, path('chunked')), 201)
        assert.ok(SMALL.equals(await got(path('chunked'))))
      })

      it('curl -C goes on with an upload that broke off', async () => {
        const cut = 5_000_000
        const range = `Content-Range: bytes 0-${cut - 1}/${LARGE.length}`
        const first = await fileOf(LARGE.subarray(0, cut))
        assert.equal(await status('-u', LOGIN, '-T', first, '-H', range, path('resumed.bin')), 202)
        const whole = await fileOf(LARGE)
        assert.equal(await status('-u', LOGIN, '-T', whole, '-C', String(cut + 1), path('resumed.bin')), 416)
        assert.equal(await status('-u', LOGIN, '-T', whole, '-C', String(cut), path('resumed.bin')), 201)
        assert.ok(LARGE.equals(await got(path('resumed.bin'))))
      })

      it('a digest that the bytes do not have is refused, and nothing is stored', async () => {
        const wrong = `X-Checksum-Sha256: ${'0'.repeat(64)}`
        const file = await fileOf(SMALL)
        assert.ok([400, 409].includes(await status('-u', LOGIN, '-T', file, '-H', wrong, path('wrong.txt'))))
        assert.equal(await status(path('wrong.txt')), 404)
      })

      it('curl -X DELETE removes, and the path stays taken', async () => {
        const file = await fileOf(SMALL)
        assert.equal(await status('-u', LOGIN, '-T', file, path('gone.txt')), 201)
        assert.equal(await status('-X', 'DELETE', path('gone.txt')), 401)
        assert.ok([200, 204].includes(await status('-u', LOGIN, '-X', 'DELETE', path('gone.txt'))))
        assert.equal(await status(path('gone.txt')), 404)
        assert.equal(await status('-u', LOGIN, '-T', await fileOf(LARGE), path('gone.txt')), 409)
      })
    })
  }

  function readsAt(side: Side, { wrongPassword } = { wrongPassword: 401 }): void {
    describe(`reading at the ${side}`, () => {
      it('curl -I says how large and which a file is', missing(CURL), async () => {
        const { stdout } = await curl('-I', url(side, 'large.bin'))
        assert.match(stdout, /^HTTP\/1\.1 200 /)
        assert.match(stdout, new RegExp(`^content-length: ${LARGE.length}\\r$`, 'im'))
        assert.match(stdout, /^accept-ranges: bytes\r$/im)
        assert.match(stdout, /^etag: ".+"\r$/im)
        assert.match(stdout, /^last-modified: .+ GMT\r$/im)
      })

      it('curl -r gets a part', missing(CURL), async () => {
        assert.ok(LARGE.subarray(70_000, 3_000_001).equals(await got(url(side, 'large.bin'), '-r', '70000-3000000')))
        assert.ok(LARGE.subarray(-10).equals(await got(url(side, 'large.bin'), '-r', '-10')))
        assert.equal(await status('-r', `${LARGE.length}-`, url(side, 'large.bin')), 416)
      })

      it('curl -C - completes what it has', missing(CURL), async () => {
        const part = await fileOf(LARGE.subarray(0, 10_000_001))
        assert.equal(await statusInto(part, '-C', '-', url(side, 'large.bin')), 206)
        assert.ok(LARGE.equals(await readFile(part)))
      })

      it('curl --etag-compare and -z cost 304 when nothing changed', missing(CURL), async () => {
        const etag = join(await mkdtemp(join(fleet.dir, 'etag-')), 'etag')
        assert.equal(await status('--etag-save', etag, url(side, 'small.txt')), 200)
        assert.equal(await status('--etag-compare', etag, url(side, 'small.txt')), 304)
        assert.equal(await status('--etag-compare', etag, url(side, 'large.bin')), 200)
        assert.equal(await status('-z', new Date(Date.now() + 60_000).toUTCString(), url(side, 'small.txt')), 304)
        assert.equal(await status('-z', 'Mon, 01 Jan 2001 00:00:00 GMT', url(side, 'small.txt')), 200)
      })

      it('curl is asked who it is before it gets what is not public', missing(CURL), async () => {
        const closed = url(side, 'small.txt', 'closed')
        assert.match((await curl('-i', closed)).stdout, /^www-authenticate: basic/im)
        assert.equal(await status('-u', 'admin:wrong', closed), wrongPassword)
        assert.equal(await status('-H', 'Authorization: Bearer wrong', closed), 401)
        assert.equal(await status('-H', `Authorization: Bearer ${bearer()}`, closed), 200)
        assert.ok(SMALL.equals(await got(closed, '-u', `admin:${bearer()}`)))
      })

      it('wget gets a file, and --continue completes what it has', missing(WGET), async () => {
        const cwd = await mkdtemp(join(fleet.dir, 'wget-'))
        await succeeds(WGET, cwd, url(side, 'small.txt'))
        assert.ok(SMALL.equals(await readFile(join(cwd, 'small.txt'))))
        await writeFile(join(cwd, 'large.bin'), LARGE.subarray(0, 7_654_321))
        const { output } = await succeeds(WGET, cwd, '--continue', url(side, 'large.bin'))
        assert.match(output, /206 Partial Content/)
        assert.ok(LARGE.equals(await readFile(join(cwd, 'large.bin'))))
        assert.match((await succeeds(WGET, cwd, '--timestamping', url(side, 'small.txt'))).output, /304|not retrieving/)
      })

      it('wget answers the challenge of a private repository', missing(WGET), async () => {
        const cwd = await mkdtemp(join(fleet.dir, 'wget-'))
        const login = ['--user=admin', `--password=${bearer()}`]
        const { output } = await succeeds(WGET, cwd, ...login, url(side, 'small.txt', 'closed'))
        assert.match(output, /401[\s\S]*200/)
        assert.ok(SMALL.equals(await readFile(join(cwd, 'small.txt'))))
        assert.equal((await run(WGET, [url(side, 'large.bin', 'closed')], { cwd, home })).code, 6)
      })

      it('aria2 gets a file in sixteen parts at once and finds its digest', missing(ARIA2), async () => {
        const cwd = await mkdtemp(join(fleet.dir, 'aria2-'))
        const digest = createHash('sha256').update(LARGE).digest('hex')
        const parts = [
          '--max-connection-per-server=16',
          '--split=16',
          '--min-split-size=1M',
          '--console-log-level=info',
        ]
        const { output } = await succeeds(ARIA2, cwd, ...parts, `--checksum=sha-256=${digest}`, url(side, 'large.bin'))
        assert.ok(LARGE.equals(await readFile(join(cwd, 'large.bin'))))
        assert.ok((output.match(/^Range: bytes=/gim)?.length ?? 0) >= 15, 'it asked for parts')
      })
    })
  }

  const bearer = () => fleet.admin.replace('Bearer ', '')
  const curl = (...args: string[]) => run(CURL, ['-sS', ...args], { cwd: fleet.dir, home })

  async function status(...args: string[]): Promise<number> {
    return statusInto('/dev/null', ...args)
  }

  async function statusInto(file: string, ...args: string[]): Promise<number> {
    const { code, stdout, output } = await curl('-o', file, '-w', '%{http_code}', ...args)
    assert.equal(code, 0, output)
    return Number(stdout)
  }

  async function got(from: string, ...args: string[]): Promise<Buffer> {
    const file = await fileOf(Buffer.alloc(0))
    assert.ok([200, 206].includes(await statusInto(file, ...args, from)))
    return readFile(file)
  }

  async function succeeds(client: Client, cwd: string, ...args: string[]): Promise<Ran> {
    const ran = await run(client, args, { cwd, home })
    assert.equal(ran.code, 0, ran.output)
    return ran
  }

  async function fileOf(bytes: Uint8Array): Promise<string> {
    const file = join(await mkdtemp(join(fleet.dir, 'file-')), 'file')
    await writeFile(file, bytes)
    return file
  }

  async function put(key: string, path: string, body: Buffer<ArrayBuffer>): Promise<void> {
    const reply = await fetch(url('primary', path, key), {
      method: 'PUT',
      headers: { authorization: fleet.admin },
      body,
    })
    assert.equal(reply.status, 201)
  }
})

type Side = 'primary' | 'node'

/** The same in every run, and no two parts alike. */
function pseudoRandom(size: number): Buffer<ArrayBuffer> {
  const blocks: Buffer[] = []
  for (let i = 0; i * 64 < size; i++) blocks.push(createHash('sha512').update(`${i}`).digest())
  return Buffer.concat(blocks).subarray(0, size) as Buffer<ArrayBuffer>
}
