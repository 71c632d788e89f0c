/** Images of an upstream registry: manifests byte for byte, tags looked at again behind the reader's back, tokens, names that stay private. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { until } from '../../support/fleet.js'
import { MemoryFleet } from '../../support/memory-fleet.js'
import { digestOf, IMAGE, INDEX, type OciRegistry, ociRegistry } from '../../support/oci-registry.js'
import { ORIGIN } from '../../support/request.js'
import { type Answer, bytes, gated, half, hang, scriptedUpstream, status } from '../../support/upstream.js'

const NAME = 'team/app'
const LAYER = randomBytes(300_000)
const SIDES = ['primary', 'node'] as const

interface Asked {
  side?: 'primary' | 'node'
  key?: string
  method?: string
  headers?: Record<string, string>
}

describe('images of an upstream', { timeout: 60_000 }, () => {
  let upstream: OciRegistry
  let fleet: MemoryFleet
  const get = (path: string, { side = 'primary', key = 'remote', ...more }: Asked = {}) =>
    fleet.client(side)(`${ORIGIN}/v2/${key}/${path}`, more)
  const digest = async (reference: string, asked: Asked = {}) =>
    (await get(`${NAME}/manifests/${reference}`, asked)).headers.get('docker-content-digest')
  const manifests = (reference: string) => upstream.count(`/v2/${NAME}/manifests/${reference}`)
  const head = () => fleet.ledger.state.head.number
  /** Waits until a question behind a reader's back has had its effect. */
  const settled = (reference: string, name = NAME) =>
    until(async () => {
      const record = fleet.ledger.state.repository('remote')
      const opened = record && fleet.primary.repository(record, fleet.gate.anonymous)
      return opened?.freshness?.(name, reference)?.ageSeconds === 0
    })

  beforeEach(async () => {
    upstream = await ociRegistry()
    fleet = await MemoryFleet.open({ firstByteMs: 300, idleMs: 300, budget: { backoffMs: 60_000, patienceMs: 0 } })
    await fleet.repository('remote', 'oci', { type: 'remote', upstream: upstream.url, metadataTtlSeconds: 60 })
  })
  afterEach(async () => {
    assert.deepEqual(
      fleet.failures.filter((error) => !/upstream|Upstream/.test(String(error))),
      [],
    )
    await fleet.close()
    await upstream.close()
  })

  it('are pulled by either side, whole: one request for each manifest and blob', async () => {
    const image = upstream.image(NAME, 'v1', LAYER)
    for (const side of ['node', 'primary'] as const)
      for (const reference of ['v1', image.digest]) {
        const reply = await get(`${NAME}/manifests/${reference}`, { side })
        assert.equal(reply.status, 200)
        assert.equal(reply.headers.get('content-type'), IMAGE)
        assert.equal(reply.headers.get('docker-content-digest'), image.digest)
        const document = Buffer.from(await reply.arrayBuffer())
        assert.equal(digestOf(document), image.digest)
        const { config, layers } = JSON.parse(document.toString()) as {
          config: { digest: string }
          layers: { digest: string }[]
        }
        for (const each of [config, ...layers]) {
          const blob = await get(`${NAME}/blobs/${each.digest}`, { side })
          assert.equal(blob.headers.get('docker-content-digest'), each.digest)
          assert.equal(digestOf(new Uint8Array(await blob.arrayBuffer())), each.digest)
        }
      }
    assert.equal(upstream.asked.length, 3, 'one manifest, one config, one layer')
    assert.match(upstream.asked[0]?.headers.accept ?? '', /oci\.image\.index.*|docker\.distribution\.manifest\.list/)
  })

  it('a reader of a layer gets it while it is still arriving', async () => {
    upstream.image(NAME, 'v1', LAYER)
    const layer = upstream.blob(LAYER)
    const { answer, open } = gated(LAYER, 200_000)
    upstream.answer(`/v2/${NAME}/blobs/${layer.digest}`, answer)
    const record = fleet.ledger.state.repository('remote')
    const opened = record && fleet.primary.repository(record, fleet.gate.anonymous)
    const arriving = await opened?.arrive?.(`${NAME}/blobs/${layer.digest}`)
    assert.ok(arriving && 'read' in arriving)
    assert.equal(await arriving.begun(), undefined)
    // The head of the reply does not wait for the end either.
    const reply = await get(`${NAME}/blobs/${layer.digest}`, { method: 'HEAD' })
    assert.equal(reply.status, 200)
    open()
    assert.equal((await arriving.done).size, LAYER.length)
    assert.equal(upstream.count(`/v2/${NAME}/blobs/${layer.digest}`), 1)
  })

  it('an index, its images and Docker’s own types pass as they are', async () => {
    const docker = 'application/vnd.docker.distribution.manifest.v2+json'
    const config = upstream.blob(Buffer.from('{}'), 'application/vnd.docker.container.image.v1+json')
    const foreign = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'
    const layers = [
      { mediaType: foreign, digest: `sha256:${'1'.repeat(64)}`, size: 9, urls: ['https://example.test/l'] },
    ]
    const old = upstream.manifest(NAME, { schemaVersion: 2, mediaType: docker, config, layers })
    const image = upstream.image(NAME, 'amd64', LAYER)
    for (const mediaType of [INDEX, 'application/vnd.docker.distribution.manifest.list.v2+json']) {
      const index = upstream.manifest(NAME, { schemaVersion: 2, mediaType, manifests: [image, old] }, 'all')
      const reply = await get(`${NAME}/manifests/${index.digest}`, { side: 'node' })
      assert.equal(reply.headers.get('content-type'), mediaType)
      assert.equal(digestOf(new Uint8Array(await reply.arrayBuffer())), index.digest)
    }
    assert.equal((await get(`${NAME}/manifests/${old.digest}`)).headers.get('content-type'), docker)
  })

  it('a manifest that does not say its type has the one that the upstream says', async () => {
    const made = upstream.manifest(NAME, { schemaVersion: 2, manifests: [] }, 'bare')
    upstream.answer(
      `/v2/${NAME}/manifests/bare`,
      bytes(Buffer.from('{"schemaVersion":2,"manifests":[]}'), { 'content-type': `${INDEX}; charset=utf-8` }),
    )
    assert.equal((await get(`${NAME}/manifests/bare`)).headers.get('content-type'), INDEX)
    assert.notEqual(await digest('bare'), made.digest)
  })

  it('a manifest is found by the path of its file too', async () => {
    const image = upstream.image(NAME, 'v1', LAYER)
    const reply = await fleet.client('node')(`${ORIGIN}/repository/remote/${NAME}/manifests/${image.digest}`)
    assert.equal(digestOf(new Uint8Array(await reply.arrayBuffer())), image.digest)
  })

  it('sha512 digests are checked as such', async () => {
    const name = `sha512:${createHash('sha512').update(LAYER).digest('hex')}`
    upstream.answer(`/v2/${NAME}/blobs/${name}`, bytes(LAYER))
    const found = await get(`${NAME}/blobs/${name}`, { side: 'node' })
    assert.equal(found.headers.get('docker-content-digest'), name)
    assert.deepEqual(Buffer.from(await found.arrayBuffer()), LAYER)
    const other = `sha512:${'0'.repeat(128)}`
    upstream.answer(`/v2/${NAME}/blobs/${other}`, bytes(Buffer.from('short')))
    assert.equal((await get(`${NAME}/blobs/${other}`)).status, 502)
  })

  it('after the time to live a tag is asked for with its own validator, and no change follows from a 304', async () => {
    upstream.image(NAME, 'v1', LAYER)
    await digest('v1')
    const before = head()
    fleet.nowMs += 59_000
    await digest('v1')
    assert.equal(manifests('v1'), 1)
    fleet.nowMs += 2_000
    await digest('v1')
    await upstream.askedFor(`/v2/${NAME}/manifests/v1`, 2)
    assert.ok(upstream.asked[1]?.headers['if-none-match'])
    await settled('v1')
    assert.equal(head(), before)
  })

  it('the same bytes without a validator are no change either', async () => {
    const image = upstream.image(NAME, 'v1', LAYER)
    const document = await (await get(`${NAME}/manifests/${image.digest}`)).arrayBuffer()
    upstream.answer(`/v2/${NAME}/manifests/v1`, bytes(new Uint8Array(document), { 'content-type': IMAGE }))
    await digest('v1')
    const before = head()
    fleet.nowMs += 61_000
    await digest('v1')
    await upstream.askedFor(`/v2/${NAME}/manifests/v1`, 2)
    await settled('v1')
    assert.equal(head(), before)
  })

  it('a digest is never asked for again, however old it is', async () => {
    const image = upstream.image(NAME, 'v1', LAYER)
    for (const side of SIDES) await digest(image.digest, { side })
    fleet.nowMs += 365 * 86_400_000
    for (const side of SIDES) await digest(image.digest, { side })
    assert.equal(upstream.asked.length, 1)
  })

  it('a tag that moved is seen after the time to live, by the reader after the one whose question found it', async () => {
    const first = upstream.image(NAME, 'latest', LAYER)
    assert.equal(await digest('latest', { side: 'node' }), first.digest)
    const second = upstream.image(NAME, 'latest', randomBytes(100))
    fleet.nowMs += 61_000
    assert.equal(await digest('latest', { side: 'node' }), first.digest)
    await until(async () => (await digest('latest', { side: 'node' })) === second.digest)
    assert.equal((await get(`${NAME}/manifests/${first.digest}`, { side: 'node' })).status, 200)
    assert.equal(manifests('latest'), 2)
  })

  it('other tags of the image are not asked for because one was', async () => {
    upstream.image(NAME, 'a', LAYER)
    upstream.image(NAME, 'b', randomBytes(10))
    for (const tag of ['a', 'b']) await digest(tag)
    fleet.nowMs += 61_000
    await digest('a')
    await settled('a')
    assert.equal(manifests('b'), 1)
  })

  for (const [what, answer] of [
    ['fails', status(500)],
    ['hangs', hang],
    ['answers nonsense', bytes(Buffer.from('<html>'))],
    ['limits', status(429, { 'retry-after': '60' })],
    ['forgets the tag', status(404)],
  ] as const)
    it(`what is held is served when the upstream ${what}`, async () => {
      const image = upstream.image(NAME, 'v1', LAYER)
      for (const side of SIDES) await digest('v1', { side })
      upstream.answer(`/v2/${NAME}/manifests/v1`, answer)
      fleet.nowMs += 10 * 86_400_000
      for (const side of SIDES) assert.equal(await digest('v1', { side }), image.digest)
      await upstream.askedFor(`/v2/${NAME}/manifests/v1`, 2)
      if (what === 'forgets the tag') return settled('v1')
      for (const side of SIDES)
        await until(async () => {
          const reply = await get(`${NAME}/manifests/v1`, { side })
          return /stale/i.test(reply.headers.get('warning') ?? '') && reply.headers.get('age') === String(10 * 86_400)
        })
    })

  it('what is not held gets a 503 that says when to come back, as an OCI error', async () => {
    upstream.answer(`/v2/${NAME}/manifests/v1`, status(429, { 'retry-after': '90' }))
    const reply = await get(`${NAME}/manifests/v1`, { side: 'node' })
    assert.equal(reply.status, 503)
    assert.equal(reply.headers.get('retry-after'), '90')
    assert.ok(((await reply.json()) as { errors: unknown[] }).errors.length)
  })

  it('what nobody has is asked for once', async () => {
    for (let i = 0; i < 3; i++)
      for (const side of SIDES) {
        const reply = await get(`${NAME}/manifests/v9`, { side })
        assert.equal(reply.status, 404)
        assert.match(await reply.text(), /MANIFEST_UNKNOWN/)
        assert.match(await (await get(`${NAME}/blobs/sha256:${'0'.repeat(64)}`, { side })).text(), /BLOB_UNKNOWN/)
      }
    assert.equal(upstream.asked.length, 2)
  })

  it('many who ask for a cold tag cause one request', async () => {
    const image = upstream.image(NAME, 'v1', LAYER)
    const all = Array.from({ length: 40 }, (_, i) => digest('v1', { side: i % 2 === 0 ? 'primary' : 'node' }))
    for (const found of await Promise.all(all)) assert.equal(found, image.digest)
    assert.equal(manifests('v1'), 1)
  })

  const wrong: [string, Answer][] = [
    ['has another digest than it says', bytes(manifestLike('a'), { 'docker-content-digest': digestOf(LAYER) })],
    ['is no manifest', bytes(Buffer.from('{"schemaVersion":1,"fsLayers":[]}'))],
    ['is a page', bytes(Buffer.from('<html>down</html>'), { 'content-type': 'text/html' })],
    ['breaks off', half(manifestLike('b'))],
    ['is a refusal', status(403)],
  ]
  for (const [what, answer] of wrong)
    it(`a manifest that ${what} is an error, and nothing is recorded`, async () => {
      upstream.answer(`/v2/${NAME}/manifests/v1`, answer)
      for (const side of SIDES) {
        const { status: code } = await get(`${NAME}/manifests/v1`, { side })
        assert.ok(code === 502 || code === 503, String(code))
      }
      assert.equal(await fleet.ledger.state.package('scope-of-remote', NAME), undefined)
    })

  it('other bytes under a digest are an error, and not kept', async () => {
    const { digest: name } = upstream.blob(LAYER)
    upstream.answer(`/v2/${NAME}/manifests/${name}`, bytes(manifestLike('c')))
    assert.equal((await get(`${NAME}/manifests/${name}`)).status, 502)
    const answers: Answer[] = [bytes(randomBytes(300_000)), half(LAYER), bytes(LAYER.subarray(1))]
    for (const answer of answers) {
      upstream.answer(`/v2/${NAME}/blobs/${name}`, answer)
      for (const side of SIDES)
        await assert.rejects(async () => {
          const reply = await get(`${NAME}/blobs/${name}`, { side })
          const body = await reply.arrayBuffer()
          if (reply.status >= 400 || body.byteLength !== LAYER.length) throw new Error('not whole')
        })
    }
    assert.equal(await fleet.ledger.state.file('scope-of-remote', `${NAME}/blobs/${name}`), undefined)
  })

  it('blobs that lie at another host are fetched there, without credentials', async () => {
    const storage = await scriptedUpstream()
    fleet.credentials.set('scope-of-remote', 'Basic c2VjcmV0OnNlY3JldA==')
    upstream.image(NAME, 'v1', LAYER)
    const name = digestOf(LAYER)
    upstream.storage = storage.url
    storage.answer(`/${name}`, bytes(LAYER))
    assert.equal((await get(`${NAME}/blobs/${name}`)).status, 200)
    assert.equal(upstream.asked[0]?.headers.authorization, 'Basic c2VjcmV0OnNlY3JldA==')
    assert.equal(storage.asked[0]?.headers.authorization, undefined)
    await storage.close()
  })

  it('a node that is cut off serves what is held, and says that the rest cannot be had', async () => {
    const image = upstream.image(NAME, 'v1', LAYER)
    await digest('v1')
    await get(`${NAME}/blobs/${digestOf(LAYER)}`)
    fleet.cutOff = true
    assert.equal(await digest('v1', { side: 'node' }), image.digest)
    assert.equal(await digest(image.digest, { side: 'node' }), image.digest)
    assert.equal((await get(`${NAME}/blobs/${digestOf(LAYER)}`, { side: 'node' })).status, 200)
    assert.deepEqual(await tags({ side: 'node' }), ['v1'])
    assert.equal((await get(`${NAME}/manifests/v2`, { side: 'node' })).status, 503)
    assert.equal((await get(`${NAME}/referrers/${image.digest}`, { side: 'node' })).status, 503)
  })

  it('a blocked image is refused and a reserved name not asked for; others are looked at again as ever', async () => {
    const blocked = [{ name: 'team/bad', reason: 'it is bad' }]
    const rules = { cooldownDays: 0, cooldownExceptions: [], blocked, reservedNames: ['inside/*'], mergedNames: [] }
    await fleet.repository('ruled', 'oci', { type: 'remote', upstream: upstream.url, rules })
    for (const name of [NAME, 'team/bad', 'inside/app']) upstream.image(name, 'v1', LAYER)
    for (const side of SIDES) {
      const asked = { key: 'ruled', side }
      assert.equal((await get('team/bad/manifests/v1', asked)).status, 403)
      assert.equal((await get('inside/app/manifests/v1', asked)).status, 404)
      assert.equal((await get(`inside/app/blobs/${digestOf(LAYER)}`, asked)).status, 404)
      assert.equal((await get(`${NAME}/manifests/v1`, asked)).status, 200)
      assert.equal((await get(`${NAME}/blobs/${digestOf(LAYER)}`, asked)).status, 200)
    }
    assert.equal(upstream.asked.filter(({ path }) => path.includes('inside')).length, 0)
    const second = upstream.image(NAME, 'v1', randomBytes(10))
    fleet.nowMs += 61_000
    await digest('v1', { key: 'ruled' })
    await until(async () => (await digest('v1', { key: 'ruled' })) === second.digest)
  })

  it('nothing is pushed to them', async () => {
    const ann = fleet.client('primary', `Bearer ${await fleet.token('ann')}`)
    const reply = await ann(`${ORIGIN}/v2/remote/${NAME}/blobs/uploads/`, { method: 'POST' })
    assert.equal(reply.status, 405)
  })

  async function tags(asked: Asked = {}): Promise<string[]> {
    const reply = await get(`${NAME}/tags/list`, asked)
    assert.equal(reply.status, 200)
    return ((await reply.json()) as { tags: string[] }).tags
  }

  describe('their tags', () => {
    it('are the upstream’s, of all its pages', async () => {
      upstream.page = 2
      for (const tag of ['a', 'b', 'c', 'd', 'e']) upstream.image(NAME, tag, LAYER)
      for (const side of SIDES) assert.deepEqual(await tags({ side }), ['a', 'b', 'c', 'd', 'e'])
      assert.equal(upstream.asked.length, 3)
      assert.equal(manifests('a'), 0)
    })

    it('are those that are held when the upstream is away and was never asked for all', async () => {
      upstream.image(NAME, 'v1', LAYER)
      upstream.image(NAME, 'v2', LAYER)
      await digest('v1')
      upstream.answer(`/v2/${NAME}/tags/list?n=1000`, status(500))
      assert.deepEqual(await tags(), ['v1'])
      assert.equal((await get('team/other/tags/list')).status, 404)
    })

    it('are served old and marked when the upstream is away, and anew when it is back', async () => {
      upstream.image(NAME, 'v1', LAYER)
      assert.deepEqual(await tags(), ['v1'])
      upstream.answer(`/v2/${NAME}/tags/list?n=1000`, hang)
      fleet.nowMs += 61_000
      assert.deepEqual(await tags(), ['v1'])
      await until(async () => (await get(`${NAME}/tags/list`)).headers.has('warning'))
    })

    it('that go on at another host are not followed there', async () => {
      upstream.answer(
        `/v2/${NAME}/tags/list?n=1000`,
        bytes(Buffer.from('{"tags":["a"]}'), { link: '<http://example.test/next>; rel="next"' }),
      )
      assert.equal((await get(`${NAME}/tags/list`)).status, 502)
    })

    it('without end are given up', async () => {
      const path = `/v2/${NAME}/tags/list?n=1000`
      upstream.answer(path, bytes(Buffer.from('{"tags":["a"]}'), { link: `<${path}>; rel="next"` }))
      assert.equal((await get(`${NAME}/tags/list`)).status, 502)
    })
  })

  it('the catalogue shows what is held', async () => {
    upstream.image(NAME, 'v1', LAYER)
    upstream.image('team/other', 'v1', LAYER)
    await digest('v1')
    await get(`${NAME}/blobs/${digestOf(LAYER)}`)
    const reply = await fleet.client('node')(`${ORIGIN}/repository/remote/v2/_catalog`)
    assert.deepEqual(await reply.json(), { repositories: [NAME] })
  })

  describe('their referrers', () => {
    const found = async (subject: string, { type, ...asked }: Asked & { type?: string } = {}) => {
      const query = type === undefined ? '' : `?artifactType=${encodeURIComponent(type)}`
      const reply = await get(`${NAME}/referrers/${subject}${query}`, asked)
      assert.equal(reply.status, 200)
      return ((await reply.json()) as { manifests: { digest: string }[] }).manifests.map((each) => each.digest)
    }
    const [A, B] = ['application/vnd.example.a', 'application/vnd.example.b']

    it('are what the upstream says, filtered here, and looked at again', async () => {
      const subject = upstream.image(NAME, 'v1', LAYER)
      const a = upstream.image(NAME, 'sig-a', LAYER, { subject, artifactType: A })
      const b = upstream.image(NAME, 'sig-b', LAYER, { subject, artifactType: B })
      for (const side of SIDES) {
        assert.deepEqual(await found(subject.digest, { side }), [a.digest, b.digest])
        assert.deepEqual(await found(subject.digest, { side, type: B }), [b.digest])
      }
      assert.equal(upstream.asked.length, 1)
      const c = upstream.image(NAME, 'sig-c', LAYER, { subject, artifactType: A, annotations: { n: 'c' } })
      fleet.nowMs += 61_000
      await found(subject.digest)
      await until(async () => (await found(subject.digest)).includes(c.digest))
      upstream.answer(`/v2/${NAME}/referrers/${subject.digest}`, status(500))
      fleet.nowMs += 61_000
      assert.equal((await found(subject.digest, { side: 'node' })).length, 3)
    })

    it('are read from their tag where the upstream is too old to know them', async () => {
      upstream.old = true
      const subject = upstream.image(NAME, 'v1', LAYER)
      const signature = upstream.image(NAME, 'sig', LAYER, { artifactType: A })
      assert.deepEqual(await found(subject.digest), [])
      const listed = { ...signature, artifactType: A }
      const document = { schemaVersion: 2, mediaType: INDEX, manifests: [listed, { nonsense: true }] }
      upstream.manifest(NAME, document, subject.digest.replace(':', '-'))
      fleet.nowMs += 61_000
      assert.deepEqual(await found(subject.digest), [signature.digest])
    })
  })

  describe('behind tokens', () => {
    beforeEach(() => {
      upstream.realm = `${upstream.url}token`
    })
    const realm = () => upstream.asked.filter(({ path }) => path.startsWith('/token'))

    it('are pulled with one token for each image, anonymous', async () => {
      const image = upstream.image(NAME, 'v1', LAYER)
      upstream.image('team/other', 'v1', LAYER)
      assert.equal(await digest('v1'), image.digest)
      assert.equal((await get(`${NAME}/blobs/${digestOf(LAYER)}`)).status, 200)
      assert.deepEqual(await tags(), ['v1'])
      assert.equal((await get('team/other/manifests/v1')).status, 200)
      assert.deepEqual(
        realm().map(({ path }) => new URLSearchParams(path.slice(path.indexOf('?'))).get('scope')),
        [`repository:${NAME}:pull`, 'repository:team/other:pull'],
      )
      assert.ok(realm().every(({ headers }) => headers.authorization === undefined))
    })

    it('the repository’s credentials go to the realm, and the token to the upstream', async () => {
      fleet.credentials.set('scope-of-remote', 'Basic c2VjcmV0OnNlY3JldA==')
      upstream.image(NAME, 'v1', LAYER)
      await digest('v1')
      assert.equal(realm()[0]?.headers.authorization, 'Basic c2VjcmV0OnNlY3JldA==')
      assert.equal(upstream.asked.at(-1)?.headers.authorization, 'Bearer token-1')
    })

    it('a token that is not good any more is replaced once', async () => {
      upstream.image(NAME, 'v1', LAYER)
      await digest('v1')
      upstream.tokens.clear()
      assert.equal((await get(`${NAME}/blobs/${digestOf(LAYER)}`)).status, 200)
      assert.equal(realm().length, 2)
    })

    it('a refusal is an error, and not asked for without end', async () => {
      upstream.image(NAME, 'v1', LAYER)
      upstream.answer(`/v2/${NAME}/manifests/v1`, (_, response) =>
        response.writeHead(401, { 'www-authenticate': `Bearer realm="${upstream.realm}",service="test"` }).end(),
      )
      assert.equal((await get(`${NAME}/manifests/v1`)).status, 502)
      assert.equal(manifests('v1'), 2)
    })

    it('a realm at an address that is not allowed is not asked', async () => {
      upstream.image(NAME, 'v1', LAYER)
      upstream.realm = 'http://[::1]:1/token'
      const reply = await get(`${NAME}/manifests/v1`)
      assert.equal(reply.status, 502)
      assert.match(await reply.text(), /not allowed/)
    })

    for (const [what, answer] of [
      ['refuses', status(401)],
      ['sends no token', bytes(Buffer.from('{}'))],
      ['sends something else', bytes(Buffer.from('<html>'))],
      ['is away', status(500)],
    ] as const)
      it(`a realm that ${what} is an error of the upstream`, async () => {
        upstream.image(NAME, 'v1', LAYER)
        const other = await scriptedUpstream(answer)
        upstream.realm = `${other.url}token`
        const { status: code } = await get(`${NAME}/manifests/v1`)
        assert.ok(code === 502 || code === 503, String(code))
        await other.close()
      })
  })

  describe('through a virtual repository', () => {
    beforeEach(async () => {
      await fleet.repository('own', 'oci')
      await fleet.repository('all', 'oci', { type: 'virtual', members: ['remote', 'own'] })
    })

    const publishOwn = async (name: string, scope = 'scope-of-own') => {
      const manifest = { package: name, version: digestOf(Buffer.from(name)), files: [], publishedAt: fleet.now() }
      const meta = `{"mediaType":"${IMAGE}","size":2,"references":[]}`
      await fleet.ledger.commit({ scope, steps: [{ kind: 'publish', manifest: { ...manifest, meta } }], by: 'ann' })
    }
    /** All that is asked about an image, each of which must stay here. */
    const askAll = async (name: string, key: string, side: 'primary' | 'node') => {
      const name64 = '1'.repeat(64)
      for (const path of ['manifests/v9', `manifests/sha256:${name64}`, `blobs/sha256:${name64}`, 'tags/list'])
        await get(`${name}/${path}`, { key, side })
      await get(`${name}/referrers/sha256:${name64}`, { key, side })
    }

    it('a name that a hosted member knows is never looked up upstream, whatever is asked about it', async () => {
      await publishOwn(NAME)
      upstream.image(NAME, 'v9', LAYER)
      for (const side of SIDES) {
        await askAll(NAME, 'all', side)
        assert.equal((await get(`${NAME}/manifests/v9`, { key: 'all', side })).status, 404)
        assert.equal((await get(`${NAME}/blobs/${digestOf(LAYER)}`, { key: 'all', side })).status, 404)
      }
      assert.deepEqual(upstream.asked, [])
    })

    it('nor when all of it was removed, or who asks may not read that member, or the node does not hold it', async () => {
      await publishOwn(NAME)
      const version = digestOf(Buffer.from(NAME))
      const steps = [{ kind: 'remove' as const, package: NAME, version }]
      await fleet.ledger.commit({ scope: 'scope-of-own', steps, by: 'ann' })
      await fleet.repository('secret', 'oci', { public: false })
      await fleet.repository('mixed', 'oci', { type: 'virtual', members: ['remote', 'secret'] })
      await publishOwn('inside', 'scope-of-secret')
      for (const side of SIDES) {
        await askAll(NAME, 'all', side)
        await askAll('inside', 'mixed', side)
      }
      fleet.notHeld.add('own')
      await askAll('unknown', 'all', 'node')
      assert.deepEqual(upstream.asked, [])
    })

    it('other names come from the first remote member that knows them', async () => {
      const second = await ociRegistry()
      await fleet.repository('second', 'oci', { type: 'remote', upstream: second.url })
      await fleet.repository('both', 'oci', { type: 'virtual', members: ['own', 'remote', 'second'] })
      const first = upstream.image(NAME, 'v1', LAYER)
      second.image(NAME, 'v1', randomBytes(10))
      second.image(NAME, 'v2', randomBytes(10))
      const other = second.image('team/other', 'v1', randomBytes(20))
      for (const side of SIDES) {
        assert.equal(await digest('v1', { key: 'both', side }), first.digest)
        assert.equal((await get(`${NAME}/manifests/v2`, { key: 'both', side })).status, 404)
        const found = await get('team/other/manifests/v1', { key: 'both', side })
        assert.equal(found.headers.get('docker-content-digest'), other.digest)
        const { layers } = (await found.json()) as { layers: { digest: string }[] }
        assert.equal((await get(`team/other/blobs/${layers[0]?.digest}`, { key: 'both', side })).status, 200)
      }
      assert.equal(second.count(`/v2/${NAME}/manifests/v2`), 0)
      await second.close()
    })

    it('a member that refuses is not passed over: the name may be its own', async () => {
      const second = await ociRegistry()
      await fleet.repository('second', 'oci', { type: 'remote', upstream: second.url })
      await fleet.repository('both', 'oci', { type: 'virtual', members: ['remote', 'second'] })
      second.image(NAME, 'v1', LAYER)
      upstream.answer(`/v2/${NAME}/manifests/v1`, status(401))
      assert.equal((await get(`${NAME}/manifests/v1`, { key: 'both' })).status, 502)
      assert.deepEqual(second.asked, [])
      await second.close()
    })

    it('a name that is published while the upstream is asked comes from here', async () => {
      const { answer, open } = gated(manifestLike('raced'), 10)
      upstream.answer(`/v2/${NAME}/manifests/v1`, answer)
      const found = get(`${NAME}/manifests/v1`, { key: 'all' })
      await upstream.askedFor(`/v2/${NAME}/manifests/v1`, 1)
      await publishOwn(NAME)
      open()
      assert.equal((await found).status, 404)
    })

    it('is pulled cut off', async () => {
      const image = upstream.image(NAME, 'v1', LAYER)
      await digest('v1', { key: 'all' })
      await get(`${NAME}/blobs/${digestOf(LAYER)}`, { key: 'all', side: 'node' })
      fleet.cutOff = true
      assert.equal(await digest('v1', { key: 'all', side: 'node' }), image.digest)
      assert.equal((await get(`${NAME}/blobs/${digestOf(LAYER)}`, { key: 'all', side: 'node' })).status, 200)
    })
  })
})

function manifestLike(note: string): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [], annotations: { note } }))
}
