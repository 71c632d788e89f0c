/** From what lock files name to the files of hosted repositories: which are wanted, are they here, and are they the right ones. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { goModSum } from '../../formats/go/inspect.js'
import { formats } from '../../formats/index.js'
import { bring, type Found, type Holding, look } from '../../protocol/holding.js'
import type { LockedFile } from '../../protocol/lock.js'
import { publishBody } from '../support/crate.js'
import { moduleUrl, moduleZip } from '../support/go-module.js'
import { MemoryFleet, type SendOptions } from '../support/memory-fleet.js'
import { FORM_TYPE, sdist, type Upload, uploadForm, wheel } from '../support/python-package.js'
import { ORIGIN } from '../support/request.js'
import { jar, pom } from './maven/jar.js'

const LINUX = { os: 'linux', architecture: 'amd64' }
const WRONG = `sha256:${'0'.repeat(64)}`

describe('what a lock file names', () => {
  let fleet: MemoryFleet
  let authorization: string
  before(async () => {
    fleet = await MemoryFleet.open()
    authorization = `Bearer ${await fleet.token('ann')}`
    for (const format of ['pypi', 'cargo', 'go', 'maven', 'oci']) await fleet.repository(format, format)
  })
  after(() => fleet.close())

  describe('pypi', () => {
    const project = { name: 'Some.Project', version: '1.0' }
    const named = (tags: string) => wheel(project, { file: `some_project-1.0-${tags}.whl` })
    const uploads = {
      linux: named('cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64'),
      mac: named('cp311-cp311-macosx_11_0_arm64'),
      any: named('py3-none-any'),
      source: sdist(project),
    }
    const hashes = (...of: Upload[]): LockedFile[] => of.map(({ bytes }) => ({ sums: [sha256(bytes)] }))
    before(async () => {
      for (const upload of Object.values(uploads))
        await send('pypi', 'POST', '/legacy/', { body: uploadForm(upload), headers: { 'content-type': FORM_TYPE } })
    })

    it('all files whose hashes are listed are wanted, each with its metadata', async () => {
      // The wheels have the same bytes: hashes find the first of them.
      const found = await both('pypi', 'some-project', '1.0', hashes(uploads.linux, uploads.source))
      assert.deepEqual(names(found), [uploads.linux.file, `${uploads.linux.file}.metadata`, uploads.source.file])
      assert.deepEqual(states(found), ['held'])
    })

    it('without hashes, all there are; for a platform, those that it can use', async () => {
      const all = await both('pypi', 'some-project', '1.0', [])
      assert.equal(names(all).filter((name) => !name.endsWith('.metadata')).length, 4)
      const files = Object.values(uploads).map(({ file, bytes }) => ({ name: file, sums: [sha256(bytes)] }))
      const found = await both('pypi', 'some-project', '1.0', files, LINUX)
      assert.deepEqual(
        names(found).filter((name) => !name.endsWith('.metadata')),
        [uploads.linux.file, uploads.any.file, uploads.source.file],
      )
    })

    it('a hash that no file has is named', async () => {
      const found = await both('pypi', 'some-project', '1.0', [{ sums: [WRONG] }])
      assert.deepEqual(found.files, [{ name: WRONG, state: 'missing', reason: 'pypi lists no such file' }])
    })

    it('a named file with another hash differs', async () => {
      const found = await both('pypi', 'some-project', '1.0', [{ name: uploads.any.file, sums: [WRONG] }])
      assert.deepEqual(states(found), ['differs', 'held'])
    })

    it('a version that is not there is said', async () => {
      assert.equal((await both('pypi', 'some-project', '2.0', [])).reason, 'pypi does not list it')
    })
  })

  it('cargo: the crate', async () => {
    const body = publishBody({ name: 'A_crate', vers: '1.0.0' })
    await send('cargo', 'PUT', '/api/v1/crates/new', { body })
    const crate = Buffer.from(await (await send('cargo', 'GET', '/api/v1/crates/A_crate/1.0.0/download')).arrayBuffer())
    const found = await both('cargo', 'a-crate', '1.0.0', [{ sums: [sha256(crate)] }])
    assert.deepEqual([names(found), states(found)], [['a-crate/A_crate-1.0.0.crate'], ['held']])
    assert.deepEqual(states(await both('cargo', 'a-crate', '1.0.0', [{ sums: [WRONG] }])), ['differs'])
  })

  it('go: zip and go.mod by their own kind of hash, or the go.mod alone', async () => {
    const module = { module: 'example.test/Mod', version: 'v1.0.0' }
    const reply = await send('go', 'PUT', moduleUrl(module.module, 'v1.0.0.zip'), { body: moduleZip(module) })
    const { sum, go_mod_sum } = (await reply.json()) as { sum: string; go_mod_sum: string }
    const mod = { name: 'mod', sums: [go_mod_sum] }
    assert.equal(go_mod_sum, goModSum(Buffer.from(`module ${module.module}\n\ngo 1.18\n`)))
    const whole = await both('go', module.module, 'v1.0.0', [{ name: 'zip', sums: [sum] }, mod])
    assert.deepEqual(names(whole), ['example.test/!mod/@v/v1.0.0.zip', 'example.test/!mod/@v/v1.0.0.mod'])
    assert.deepEqual(states(whole), ['held'])
    assert.deepEqual(names(await both('go', module.module, 'v1.0.0', [mod])), ['example.test/!mod/@v/v1.0.0.mod'])
    const wrong = await bring(holding('go'), {
      package: module.module,
      version: 'v1.0.0',
      files: [{ name: 'zip', sums: [go_mod_sum] }],
    })
    assert.deepEqual(states(wrong), ['differs'])
    const absent = await both('go', module.module, 'v9.0.0', [mod])
    assert.deepEqual(states(absent), ['missing'])
  })

  it('maven: POM, jar and the POMs it inherits from; or the files that are named', async () => {
    const parent = '<parent><groupId>org.test</groupId><artifactId>parent</artifactId><version>7</version></parent>'
    await send('maven', 'PUT', '/org/test/parent/7/parent-7.pom', {
      body: pom('org.test', 'parent', '7', '<packaging>pom</packaging>'),
    })
    await send('maven', 'PUT', '/org/test/lib/1.0/lib-1.0.pom', { body: pom('org.test', 'lib', '1.0', parent) })
    const bytes = jar([{ name: 'a', content: 'a' }])
    await send('maven', 'PUT', '/org/test/lib/1.0/lib-1.0.jar', { body: bytes })
    const found = await both('maven', 'org.test:lib', '1.0', [])
    assert.deepEqual(
      names(found),
      ['lib/1.0/lib-1.0.pom', 'lib/1.0/lib-1.0.jar', 'parent/7/parent-7.pom'].map((path) => `org/test/${path}`),
    )
    assert.deepEqual(states(found), ['held'])
    const named = [{ name: 'lib-1.0.jar', sums: [`sha512:${createHash('sha512').update(bytes).digest('hex')}`] }]
    assert.deepEqual(states(await both('maven', 'org.test:lib', '1.0', named)), ['held'])
    assert.deepEqual(states(await both('maven', 'org.test:other', '1.0', [])), ['missing'])
  })

  it('oci: the manifests of an index, for one platform or all, their configs and layers', async () => {
    const index = await pushIndex()
    for (const version of ['latest', index]) {
      const all = await both('oci', 'oci/app', version, [])
      assert.deepEqual([all.files.length, states(all)], [1 + 2 * 3, ['held']])
      assert.equal((await both('oci', 'app', version, [], LINUX)).files.length, 1 + 3)
    }
    assert.equal((await both('oci', 'app', 'nothing', [])).reason, 'oci does not list it')
  })

  it('what is recorded and not here is missing', async () => {
    const found = await look(
      { ...holding('oci'), blobs: { has: async () => false } },
      { package: 'app', version: 'latest', files: [] },
    )
    assert.deepEqual(states(found), ['missing'])
    assert.deepEqual([...new Set(found.files.map(({ reason }) => reason))], ['Its bytes are not here'])
  })

  async function pushIndex(): Promise<string> {
    const media = 'application/vnd.oci.image'
    const pushBlob = async (content: string) => {
      const digest = sha256(Buffer.from(content))
      await send('oci', 'POST', `/v2/app/blobs/uploads/?digest=${digest}`, { body: content })
      return { digest, size: content.length }
    }
    const pushManifest = async (document: object, reference: string, type: string) => {
      const body = JSON.stringify(document)
      await send('oci', 'PUT', `/v2/app/manifests/${reference}`, { body, headers: { 'content-type': type } })
      return { mediaType: type, digest: sha256(Buffer.from(body)), size: body.length }
    }
    const manifests = []
    for (const architecture of ['amd64', 'arm64']) {
      const config = { mediaType: `${media}.config.v1+json`, ...(await pushBlob(`{"architecture":"${architecture}"}`)) }
      const layer = { mediaType: `${media}.layer.v1.tar`, ...(await pushBlob(`layer of ${architecture}`)) }
      const image = await pushManifest(
        { schemaVersion: 2, config, layers: [layer] },
        architecture,
        `${media}.manifest.v1+json`,
      )
      manifests.push({ ...image, platform: { os: 'linux', architecture } })
    }
    return (await pushManifest({ schemaVersion: 2, manifests }, 'latest', `${media}.index.v1+json`)).digest
  }

  async function send(key: string, method: string, path: string, init: SendOptions = {}): Promise<Response> {
    const headers = { authorization, ...init.headers }
    const reply = await fleet.client('primary')(`${ORIGIN}/repository/${key}${path}`, { ...init, method, headers })
    assert.ok(reply.ok, `${method} ${path}: ${reply.status} ${await reply.clone().text()}`)
    return reply
  }

  function holding(key: string): Holding {
    const record = fleet.ledger.state.repository(key)
    const lock = formats.find(({ name }) => name === key)?.lock
    assert.ok(record && lock)
    const repository = fleet.primary.repository(record, fleet.gate.anonymous)
    return { repository, lock, platform: undefined, blobs: fleet.blobs, signal: new AbortController().signal }
  }

  /** What both say, which is the same where everything is held. */
  async function both(
    key: string,
    name: string,
    version: string,
    files: LockedFile[],
    platform?: Holding['platform'],
  ): Promise<Found> {
    const here = { ...holding(key), platform }
    const locked = { package: name, version, files }
    const looked = await look({ ...here, repository: here.repository.held() }, locked)
    const brought = await bring(here, locked)
    assert.deepEqual(
      brought.files.map(({ name: file, state }) => [file, state]),
      looked.files.map(({ name: file, state }) => [file, state]),
    )
    return brought
  }
})

function names({ files }: Found): string[] {
  return files.map(({ name }) => name)
}

function states({ files }: Found): string[] {
  return [...new Set(files.map(({ state }) => state))]
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
