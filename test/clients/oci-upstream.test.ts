/**
 * Images of another registry, pulled by skopeo, crane and oras through a primary, a node, and the node with the primary gone. The upstream is
 * another Cairn, with private repositories and its own tokens; only what a client needs is asked of it.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { writeLayout } from '../support/oci-layout.js'
import { digestOf, ociRegistry } from '../support/oci-registry.js'
import { tgz } from '../support/tar-writer.js'
import { gated } from '../support/upstream.js'
import { built, type Client, fails, missing, newHome, program, succeeds } from './client.js'

const SKOPEO = program('skopeo')
const CRANE = built('crane')
const ORAS = built('oras')
const SIDES = ['primary', 'node', 'node with the primary gone'] as const

describe('image clients through a remote repository', { timeout: 300_000, ...missing(SKOPEO) }, () => {
  let upstream: TestFleet
  let fleet: TestFleet
  let home: string
  let digest: string
  let layer: Buffer
  const ask = (client: Client, ...args: string[]) => succeeds(client, args, { cwd: home, home })
  const host = (side: (typeof SIDES)[number]) =>
    new URL((side === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[0]) ?? '').host

  before(async () => {
    upstream = await testFleet()
    fleet = await testFleet({ nodes: 2, primary: { upstreamAllow: ['127.0.0.1'] } })
    home = await newHome(fleet.dir)
    layer = tgz([{ name: 'large.bin', content: randomBytes(2_000_000) }])
    const layout = join(home, 'layout')
    digest = await writeLayout(layout, layer)
    await upstream.api('POST', '/api/v1/repositories', { key: 'theirs', format: 'oci' })
    const token = (await upstream.api('POST', '/api/v1/auth/tokens', { name: 'pull', scopes: ['*'] })) as {
      value: string
    }
    const creds = ['--dest-tls-verify=false', '--dest-creds', `admin:${token.value}`]
    for (const tag of ['v1', 'v2'])
      await ask(
        SKOPEO,
        'copy',
        ...creds,
        `oci:${layout}:image`,
        `docker://${new URL(upstream.primaryUrl).host}/theirs/team/app:${tag}`,
      )
    if (ORAS.command) {
      const artifact = `${new URL(upstream.primaryUrl).host}/theirs/team/app:v1`
      const plain = ['--plain-http', '-u', 'admin', '-p', token.value, '--artifact-type', 'application/vnd.example.bom']
      await ask(ORAS, 'attach', ...plain, artifact, '--annotation', 'of=v1')
    }
    const draft = { format: 'oci', is_public: true }
    const remote = { ...draft, repo_type: 'remote', upstream_auth: { username: 'admin', password: token.value } }
    // Both forms of a Cairn's address: a repository's own, and the one below /v2/.
    await fleet.api('POST', '/api/v1/repositories', {
      ...remote,
      key: 'mirror',
      upstream_url: `${upstream.primaryUrl}/repository/theirs`,
    })
    await fleet.api('POST', '/api/v1/repositories', { ...remote, key: 'whole', upstream_url: upstream.primaryUrl })
    await fleet.api('POST', '/api/v1/repositories', { ...draft, key: 'own' })
    const all = { ...draft, key: 'all', repo_type: 'virtual', members: ['own', 'mirror'] }
    await fleet.api('POST', '/api/v1/repositories', all)
    for (const url of fleet.nodeUrls)
      await until(async () => (await fetch(`${url}/api/v1/repositories/all`)).status === 200)
  })
  after(async () => {
    await fleet.close()
    await upstream.close()
  })

  it('two nodes and the primary that are asked together ask the upstream once for a tag and once for a layer', async () => {
    const scripted = await ociRegistry()
    scripted.realm = `${scripted.url}token`
    const image = scripted.image('team/cold', 'v1', layer)
    const draft = { format: 'oci', is_public: true, repo_type: 'remote', upstream_url: scripted.url }
    await fleet.api('POST', '/api/v1/repositories', { ...draft, key: 'cold' })
    const all = [...fleet.nodeUrls, fleet.primaryUrl]
    for (const url of all) await until(async () => (await fetch(`${url}/api/v1/repositories/cold`)).status === 200)
    const path = `/v2/team/cold/blobs/${digestOf(layer)}`
    const { answer, open } = gated(layer, 1_000_000)
    scripted.answer(path, answer)
    const many = all.flatMap((url) => Array.from({ length: 8 }, () => `${url}/v2/cold/team/cold`))
    const tags = await Promise.all(many.map((url) => fetch(`${url}/manifests/v1`)))
    for (const reply of tags) assert.equal(reply.headers.get('docker-content-digest'), image.digest)
    const layers = await Promise.all(many.map((url) => fetch(`${url}/blobs/${digestOf(layer)}`)))
    // Every one has its head while the upstream still holds back the second half.
    open()
    for (const reply of layers) assert.equal(digestOf(new Uint8Array(await reply.arrayBuffer())), digestOf(layer))
    assert.equal(scripted.count(path), 1)
    // Once to hear that it takes a token, once with it.
    assert.equal(scripted.count('/v2/team/cold/manifests/v1'), 2)
    await scripted.close()
  })

  it('without credentials nothing private is had, and the client hears that it is the upstream’s refusal', async () => {
    const draft = { format: 'oci', is_public: true, repo_type: 'remote', upstream_url: upstream.primaryUrl }
    await fleet.api('POST', '/api/v1/repositories', { ...draft, key: 'nobody' })
    const reply = await fetch(`${fleet.primaryUrl}/v2/nobody/theirs/team/app/manifests/v1`)
    assert.equal(reply.status, 502)
    assert.match(await reply.text(), /refusal/)
  })

  for (const side of SIDES)
    describe(`at the ${side}`, () => {
      before(async () => {
        if (side !== 'node with the primary gone') return
        await fleet.stopPrimary()
        await upstream.stopPrimary()
      })

      for (const image of ['mirror/team/app', 'all/team/app', 'whole/theirs/team/app'])
        it(`skopeo copies ${image}, whole`, async () => {
          const out = await mkdtemp(join(home, 'out-'))
          await ask(SKOPEO, 'copy', '--src-tls-verify=false', `docker://${host(side)}/${image}:v1`, `oci:${out}:image`)
          const index = JSON.parse(await readFile(join(out, 'index.json'), 'utf8')) as {
            manifests: { digest: string }[]
          }
          assert.equal(index.manifests[0]?.digest, digest)
          assert.deepEqual(await readFile(join(out, 'blobs', 'sha256', digestOf(layer).slice(7))), layer)
        })

      it('skopeo lists the tags', async () => {
        const text = await ask(SKOPEO, 'list-tags', '--tls-verify=false', `docker://${host(side)}/mirror/team/app`)
        assert.deepEqual((JSON.parse(text) as { Tags: string[] }).Tags, ['v1', 'v2'])
      })

      it('crane validates and pulls', missing(CRANE), async () => {
        const image = `${host(side)}/mirror/team/app:v1`
        await ask(CRANE, 'validate', '--insecure', '--remote', image)
        assert.equal((await ask(CRANE, 'digest', '--insecure', image)).trim(), digest)
      })

      it('oras discovers what is about an image', missing(ORAS), async () => {
        const image = `${host(side)}/mirror/team/app:v1`
        const found = await ask(ORAS, 'discover', '--plain-http', '--format', 'json', image)
        assert.match(found, /application\/vnd\.example\.bom/)
      })
    })

  it('what is not held is a clear error while everything is away', async () => {
    const url = `docker://${host('node')}/mirror/team/other:v1`
    const out = await mkdtemp(join(home, 'out-'))
    const args = ['copy', '--retry-times', '0', '--src-tls-verify=false', url, `oci:${out}:image`]
    assert.match(await fails(SKOPEO, args, { cwd: home, home }), /503|cannot be reached/i)
  })
})
