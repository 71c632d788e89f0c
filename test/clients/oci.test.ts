/**
 * Images through skopeo, crane, oras, regctl and containerd's resolver, charts through helm, and the distribution specification's conformance program, against the primary, a node,
 * and the node with the primary gone.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ADMIN_PASSWORD, type TestFleet, testFleet, until } from '../support/fleet.js'
import { writeLayout } from '../support/oci-layout.js'
import { type Entry, tgz } from '../support/tar-writer.js'
import { built, type Client, fails, missing, newHome, program, run, succeeds } from './client.js'

const SKOPEO = program('skopeo')
const CRANE = built('crane')
const ORAS = built('oras')
const REGCTL = built('regctl')
const HELM = built('helm')
const CONTAINERD = built('containerd-copy')
const CONFORMANCE = built('oci-conformance')
const SIDES = ['primary', 'node'] as const
type Side = (typeof SIDES)[number]

describe('image clients', { timeout: 900_000 }, () => {
  let fleet: TestFleet
  let home: string
  let layer: Buffer
  let layout: string
  let digest: string
  let token: string
  const host = (side: Side) => new URL((side === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[0]) ?? '').host
  const ask = (client: Client, ...args: string[]) => succeeds(client, args, { cwd: home, home })
  const creds = () => `admin:${token}`

  before(async () => {
    fleet = await testFleet({ nodes: 1 })
    home = await newHome(fleet.dir)
    for (const [key, is_public] of [
      ['images', true],
      ['closed', false],
    ] as const)
      await fleet.api('POST', '/api/v1/repositories', { key, name: key, format: 'oci', repo_type: 'local', is_public })
    token = ((await fleet.api('POST', '/api/v1/auth/tokens', { name: 'ci', scopes: ['*'] })) as { value: string }).value
    const members: Entry[] = [
      { name: 'hello.txt', content: 'moss\n' },
      { name: 'large.bin', content: large() },
    ]
    layer = tgz(members)
    layout = join(home, 'layout')
    digest = await writeLayout(layout, layer)
    await writeFile(join(home, 'layer.tar'), layer)
  })
  after(() => fleet.close())

  for (const side of SIDES) {
    describe(`skopeo at the ${side}`, missing(SKOPEO), () => {
      const image = (name: string, key = 'images') => `docker://${host(side)}/${key}/${side}/${name}`

      it('copies an image in and out, whole', async () => {
        const to = ['--dest-tls-verify=false', '--dest-creds', creds()]
        await ask(SKOPEO, 'copy', ...to, `oci:${layout}:image`, image('skopeo:v1'))
        const out = await mkdtemp(join(home, 'out-'))
        await ask(SKOPEO, 'copy', '--src-tls-verify=false', image('skopeo:v1'), `oci:${out}:image`)
        const index = JSON.parse(await readFile(join(out, 'index.json'), 'utf8')) as { manifests: { digest: string }[] }
        assert.equal(index.manifests[0]?.digest, digest)
        assert.deepEqual(await readFile(join(out, 'blobs/sha256', hex(layer))), layer)
      })

      it('logs in with a password, and sees what it may see only then', async () => {
        const login = ['login', '--tls-verify=false', '-u', 'admin', '-p', ADMIN_PASSWORD, host(side)]
        const file = join(home, `auth-${side}.json`)
        await ask(SKOPEO, ...login, '--authfile', file)
        const known = ['--dest-tls-verify=false', '--authfile', file]
        await ask(SKOPEO, 'copy', ...known, `oci:${layout}:image`, image('secret:v1', 'closed'))
        const inspect = ['inspect', '--tls-verify=false']
        const seen = JSON.parse(await ask(SKOPEO, ...inspect, '--authfile', file, image('secret:v1', 'closed'))) as {
          Digest: string
        }
        assert.equal(seen.Digest, digest)
        const options = { cwd: home, home }
        assert.match(
          await fails(SKOPEO, [...inspect, '--no-creds', image('secret:v1', 'closed')], options),
          /unauthorized/,
        )
        const wrong = ['login', '--tls-verify=false', '-u', 'admin', '-p', 'wrong', host(side)]
        assert.match(await fails(SKOPEO, wrong, options), /invalid username\/password|unauthorized/)
      })

      it('lists and deletes', async () => {
        const write = ['--tls-verify=false', '--creds', creds()]
        await ask(
          SKOPEO,
          'copy',
          '--dest-tls-verify=false',
          '--dest-creds',
          creds(),
          `oci:${layout}:image`,
          image('gone:v1'),
        )
        assert.deepEqual(await tags(image('gone')), ['v1'])
        await ask(SKOPEO, 'delete', ...write, image('gone:v1'))
        assert.deepEqual(await tags(image('gone')), [])
      })
    })

    describe(`crane at the ${side}`, missing(CRANE), () => {
      const image = (name: string, key = 'images') => `${host(side)}/${key}/${side}/${name}`

      it('logs in, pushes, tags, mounts into another repository, pulls and deletes', async () => {
        await ask(CRANE, 'auth', 'login', host(side), '-u', 'admin', '-p', ADMIN_PASSWORD, '--insecure')
        await ask(CRANE, 'append', '--insecure', '-f', 'layer.tar', '-t', image('crane:v1'))
        await ask(CRANE, 'tag', '--insecure', image('crane:v1'), 'v2')
        assert.deepEqual((await ask(CRANE, 'ls', '--insecure', image('crane'))).trim().split('\n'), ['v1', 'v2'])
        const { output } = await run(CRANE, ['copy', '--insecure', image('crane:v1'), image('copied:v1', 'closed')], {
          cwd: home,
          home,
        })
        assert.match(output, /mounted blob/)
        const pushed = await ask(CRANE, 'digest', '--insecure', image('crane:v1'))
        assert.equal(await ask(CRANE, 'digest', '--insecure', image('copied:v1', 'closed')), pushed)
        await ask(CRANE, 'pull', '--insecure', image('copied:v1', 'closed'), `crane-${side}.tar`)
        await ask(CRANE, 'validate', '--insecure', '--remote', image('crane:v1'))
        await ask(CRANE, 'delete', '--insecure', image('crane:v2'))
        assert.equal((await ask(CRANE, 'ls', '--insecure', image('crane'))).trim(), 'v1')
        assert.match(await ask(CRANE, 'catalog', '--insecure', host(side)), new RegExp(`^images/${side}/crane$`, 'm'))
      })
    })

    describe(`containerd's resolver at the ${side}`, missing(CONTAINERD), () => {
      const image = (name: string, key: string) => `${host(side)}/${key}/${side}/${name}`

      it('copies an image into a private repository and out of it, layers and ranges of them', async () => {
        const made = ['copy', '--dest-tls-verify=false', '--dest-creds', creds(), `oci:${layout}:image`]
        await ask(SKOPEO, ...made, `docker://${image('resolved:v1', 'images')}`)
        const copy = (from: string, to: string, password = token) => [from, to, 'admin', password]
        const [first, second] = [image('resolved:v1', 'images'), image('resolved:v1', 'closed')]
        const told = `${digest} ${layer.length - 1}\n`
        assert.equal(await ask(CONTAINERD, ...copy(first, second)), told)
        assert.equal(await ask(CONTAINERD, ...copy(second, image('resolved:v2', 'images'))), told)
        const wrong = copy(second, image('resolved:v3', 'images'), 'wrong')
        assert.match(await fails(CONTAINERD, wrong, { cwd: home, home }), /401|unauthorized|authorization/i)
        const stranger = `${host(side)}/images/${side}/never:v1`
        assert.match(await fails(CONTAINERD, copy(stranger, second), { cwd: home, home }), /not found/)
      })
    })

    describe(`oras at the ${side}`, missing(ORAS), () => {
      const plain = () => ['--plain-http', '-u', 'admin', '-p', token]
      const artifact = (name: string) => `${host(side)}/images/${side}/${name}`

      it('pushes an artifact, attaches another to it, finds and pulls them', async () => {
        await writeFile(join(home, 'note.txt'), 'lichen\n')
        await writeFile(join(home, 'bom.json'), `{"of":"${side}"}`)
        await ask(ORAS, 'push', ...plain(), artifact('oras:v1'), 'note.txt:text/plain')
        const type = 'application/vnd.example.bom'
        await ask(ORAS, 'attach', ...plain(), '--artifact-type', type, artifact('oras:v1'), 'bom.json:application/json')
        const found = await ask(
          ORAS,
          'discover',
          ...plain(),
          '--artifact-type',
          type,
          '--format',
          'json',
          artifact('oras:v1'),
        )
        assert.match(found, /application\/vnd\.example\.bom/)
        const folder = await mkdtemp(join(home, 'oras-'))
        await ask(ORAS, 'pull', ...plain(), '-o', folder, artifact('oras:v1'))
        assert.equal(await readFile(join(folder, 'note.txt'), 'utf8'), 'lichen\n')
      })
    })

    describe(`regctl at the ${side}`, missing(REGCTL), () => {
      const image = (name: string, key = 'images') => `${host(side)}/${key}/${side}/${name}`

      it('logs in, imports, copies to where it needs credentials, and takes a tag away', async () => {
        await ask(REGCTL, 'registry', 'set', '--tls', 'disabled', host(side))
        await ask(REGCTL, 'registry', 'login', '-u', 'admin', '-p', token, host(side))
        await ask(REGCTL, 'image', 'copy', `ocidir://${layout}:image`, image('regctl:v1'))
        await ask(REGCTL, 'image', 'copy', image('regctl:v1'), image('regctl:v2', 'closed'))
        const list = ['--platform', 'linux/amd64', '--ref', image('regctl:v1')]
        await ask(REGCTL, 'index', 'create', image('regctl:all'), ...list)
        assert.deepEqual((await ask(REGCTL, 'tag', 'ls', image('regctl'))).trim().split('\n'), ['all', 'v1'])
        await ask(REGCTL, 'tag', 'delete', image('regctl:v1'))
        assert.equal((await ask(REGCTL, 'tag', 'ls', image('regctl'))).trim(), 'all')
        assert.equal((await ask(REGCTL, 'manifest', 'head', image('regctl:v2', 'closed'))).trim(), digest)
        const stranger = { cwd: home, home: await newHome(fleet.dir) }
        await succeeds(REGCTL, ['registry', 'set', '--tls', 'disabled', host(side)], stranger)
        assert.match(await fails(REGCTL, ['manifest', 'head', image('regctl:v2', 'closed')], stranger), /unauthorized/)
      })
    })

    describe(`helm at the ${side}`, missing(HELM), () => {
      const charts = (key: string) => `oci://${host(side)}/${key}/${side}/charts`

      it('pushes a chart, and pulls it with credentials where it needs them', async () => {
        const folder = await mkdtemp(join(home, 'chart-'))
        await writeFile(join(folder, 'Chart.yaml'), 'apiVersion: v2\nname: heath\nversion: 0.1.0+built\n')
        await ask(HELM, 'package', folder, '-d', folder)
        const archive = join(folder, 'heath-0.1.0+built.tgz')
        await ask(HELM, 'registry', 'login', host(side), '-u', 'admin', '-p', token, '--plain-http')
        for (const key of ['images', 'closed']) await ask(HELM, 'push', archive, charts(key), '--plain-http')
        const pull = ['pull', `${charts('closed')}/heath`, '--version', '0.1.0+built', '--plain-http']
        const out = await mkdtemp(join(home, 'out-'))
        await ask(HELM, ...pull, '-d', out)
        assert.ok((await readFile(join(out, 'heath-0.1.0+built.tgz'))).equals(await readFile(archive)))
        // Without a version it looks through the tags.
        assert.match(await ask(HELM, 'show', 'chart', `${charts('images')}/heath`, '--plain-http'), /^name: heath$/m)
        assert.match(await fails(HELM, pull, { cwd: home, home: await newHome(fleet.dir) }), /401|unauthorized/)
      })
    })

    it(`the conformance program finds no failure at the ${side}`, missing(CONFORMANCE), async () => {
      const folder = join(home, `conformance-${side}`)
      await mkdir(folder)
      const settings = {
        registry: host(side),
        tls: 'disabled',
        repo1: `images/conformance/${side}/one`,
        repo2: `images/conformance/${side}/two`,
        username: 'admin',
        password: ADMIN_PASSWORD,
        version: '1.1+dev',
      }
      // YAML reads JSON.
      await writeFile(join(folder, 'oci-conformance.yaml'), JSON.stringify(settings))
      const { code, output } = await run(CONFORMANCE, [], { cwd: folder, home, deadlineMs: 400_000 })
      assert.equal(code, 0, output.slice(0, 4000))
      assert.match(output, /OCI Conformance Result: Pass/)
      assert.match(output, /FAIL\.+:\s+0$/m)
      assert.match(output, /Skip\.+:\s+0$/m)
    })
  }

  describe('with the primary gone', missing(SKOPEO), () => {
    before(async () => {
      const url = `${fleet.nodeUrls[0]}/v2/images/node/skopeo/manifests/v1`
      await until(async () => (await fetch(url, { method: 'HEAD' })).status === 200)
      await fleet.stopPrimary()
    })

    it('skopeo pulls at the node, with a token what is private too', async () => {
      const copy = ['copy', '--src-tls-verify=false']
      const out = async () => `oci:${await mkdtemp(join(home, 'out-'))}:image`
      await ask(SKOPEO, ...copy, `docker://${host('node')}/images/node/skopeo:v1`, await out())
      const secret = `docker://${host('node')}/closed/node/secret:v1`
      await ask(SKOPEO, ...copy, '--src-creds', creds(), secret, await out())
    })

    it('a push ends with an error that says why', async () => {
      const to = ['--dest-tls-verify=false', '--dest-creds', creds(), '--retry-times', '0']
      const args = ['copy', ...to, `oci:${layout}:image`, `docker://${host('node')}/images/node/later:v1`]
      assert.match(await fails(SKOPEO, args, { cwd: home, home }), /503|primary cannot be reached/i)
    })
  })

  async function tags(repository: string): Promise<string[]> {
    const text = await ask(SKOPEO, 'list-tags', '--tls-verify=false', repository)
    return (JSON.parse(text) as { Tags: string[] }).Tags
  }
})

function hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function large(): Buffer {
  return Buffer.alloc(3_000_000, createHash('sha512').update('large').digest())
}
