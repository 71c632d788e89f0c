/** Groups H11, I, K and O10 of the bad inputs: publishes that contradict themselves, archives that lie, races and quotas, at primary and node. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { sha256 } from '../support/book.js'
import { until } from '../support/fleet.js'
import { type Document, type Manifest, packed, publishDocument } from '../support/npm-package.js'
import { pax, tar, tgz } from '../support/tar-writer.js'
import { type Watched, watched } from './watched.js'

const REPOSITORY = '/repository/packages'
const ENTRIES = 200_000
const FLIPS = 150

describe('bad packages', { timeout: 120_000 }, () => {
  let at: Watched
  const own = (name: string): Manifest => ({ name, version: '1.0.0' })
  const put = (url: string, path: string, body: string | Uint8Array): Promise<Response> =>
    fetch(url + path, {
      method: 'PUT',
      body,
      headers: { authorization: at.fleet.admin, 'content-type': 'application/json' },
    } as RequestInit)
  const publish = (url: string, document: Document): Promise<Response> =>
    put(url, `${REPOSITORY}/${String(document.name).replace('/', '%2f')}`, JSON.stringify(document))
  const visible = async (name: string): Promise<boolean> =>
    (
      await Promise.all([at.primary, at.node].map(async (url) => (await fetch(`${url}${REPOSITORY}/${name}`)).status))
    ).some((status) => status !== 404)

  before(async () => {
    at = await watched()
    for (const [key, format, quota_bytes] of [
      ['packages', 'npm', null],
      ['files', 'generic', null],
      ['tight', 'generic', 1_500_000],
    ])
      await at.fleet.api('POST', '/api/v1/repositories', {
        key,
        name: key,
        format,
        repo_type: 'local',
        is_public: true,
        quota_bytes,
      })
    // The worst rows once before: buffers and compiled code come once (70 MB from a cold start), what is looked for is growth.
    const bomb = packed(own('warm'), [{ name: 'package/zeros', content: Buffer.alloc(50 * 1024 * 1024) }])
    const worst = [
      JSON.stringify(publishDocument(own('warm'), { tarball: bomb })),
      `{"name":"${'x'.repeat(20_000_000)}"}`,
    ]
    for (const url of [at.primary, at.node]) for (const body of worst) await put(url, `${REPOSITORY}/warm`, body)
    await at.begin()
  })
  after(() => at.close())

  /** Each is refused with 400 in npm's own document at primary and node, and nothing of it can be seen. */
  const refused = (id: string, make: (name: string) => Document | string): void => {
    for (const side of ['primary', 'node'] as const)
      it(`${side}: ${id}`, async () => {
        const name = `bad-${sha256(Buffer.from(side + id)).slice(0, 12)}`
        const made = make(name)
        const begun = performance.now()
        const reply =
          typeof made === 'string' ? await put(at[side], `${REPOSITORY}/${name}`, made) : await publish(at[side], made)
        const body = (await reply.json()) as { error?: unknown }
        // 404: without an attachment a document is a change to a package that is there.
        assert.ok([400, 404, 413].includes(reply.status), `${reply.status} ${JSON.stringify(body)}`)
        assert.ok(typeof body.error === 'string' && body.error.length > 10)
        assert.ok(performance.now() - begun < 5000)
        assert.ok(!(await visible(name)))
      })
  }
  const tarball = (id: string, make: (name: string) => Buffer): void =>
    refused(id, (name) => publishDocument(own(name), { tarball: make(name) }))
  const manifest = (name: string): { name: string; content: string } => ({
    name: 'package/package.json',
    content: JSON.stringify(own(name)),
  })

  describe('I: archives', () => {
    tarball('I01 50 MiB of zeros', (name) =>
      packed(own(name), [{ name: 'package/zeros', content: Buffer.alloc(50 * 1024 * 1024) }]),
    )
    tarball('I01 zeros in front of the manifest', (name) =>
      tgz([{ name: 'package/zeros', content: Buffer.alloc(50 * 1024 * 1024) }, manifest(name)]),
    )
    tarball('I02 an archive in the archive’s place, gzipped twice', (name) => gzipSync(packed(own(name))))
    for (const path of ['../../x', 'package/../../x', '/etc/x', 'package/a\\..\\..\\x', 'C:/x'])
      tarball(`I04 an entry ${path}`, (name) => packed(own(name), [{ name: path, content: 'x' }]))
    tarball('I04 a name with NUL, by pax', (name) =>
      packed(own(name), [{ name: 'p', type: 'x', content: pax('path', 'package/a\0b') }, { name: 'package/x' }]),
    )
    tarball('I04 the manifest is a symbolic link', (name) =>
      tgz([
        { name: 'package/package.json', type: '2', target: '/etc/passwd' },
        { ...manifest(name), name: 'package/other.json' },
      ]),
    )
    tarball('I04 the manifest is a hard link', () =>
      tgz([{ name: 'package/package.json', type: '1', target: '../../x' }]),
    )
    tarball(`I05 ${ENTRIES} empty entries`, (name) => many(manifest(name)))
    tarball('I05 a name of a mebibyte', (name) =>
      packed(own(name), [
        { name: 'p', type: 'x', content: pax('path', `package/${'n'.repeat(1_048_576)}`) },
        { name: 'x' },
      ]),
    )
    for (const size of ['-1', '9223372036854775808', '99999999999999999999', '1e3', ''])
      tarball(`I05 a size of ${size} by pax`, (name) =>
        packed(own(name), [
          { name: 'p', type: 'x', content: pax('size', size) },
          { name: 'package/x', content: 'x' },
        ]),
      )
    tarball('I05 a negative base-256 size', (name) =>
      packed(own(name), [{ name: 'package/x', content: 'x', size: Buffer.from('ffffffffffffffffffffffff', 'hex') }]),
    )
    tarball('I05 a size beyond the end', (name) =>
      packed(own(name), [{ name: 'package/x', content: 'x', size: '77777777777 ' }]),
    )
    tarball('I05 GNU sparse', (name) => packed(own(name), [{ name: 'package/x', type: 'S', content: 'x' }]))
    tarball('I06 two manifests', (name) =>
      packed(own(name), [
        { name: 'package/package.json', content: JSON.stringify({ ...own(name), scripts: { install: 'x' } }) },
      ]),
    )
    tarball('I07 another name inside', () => packed(own('something-else')))
    tarball('I07 another version inside', (name) => packed({ name, version: '2.0.0' }))
    refused('I07 other scripts inside', (name) =>
      publishDocument(own(name), { tarball: packed({ ...own(name), scripts: { postinstall: 'evil' } }) }),
    )
    refused('I07 other dependencies inside', (name) =>
      publishDocument(
        { ...own(name), dependencies: { good: '1' } },
        { tarball: packed({ ...own(name), dependencies: { evil: '1' } }) },
      ),
    )
    tarball('I12 rubbish behind the gzip stream', (name) => Buffer.concat([packed(own(name)), Buffer.from('rubbish')]))
    tarball('no gzip at all', (name) => tar([manifest(name)]))
    tarball('nothing', () => Buffer.alloc(0))
    tarball('a header with a wrong checksum', (name) => packed(own(name), [{ name: 'package/x', badChecksum: true }]))

    it('I16 an archive cut at every kibibyte is refused each time', async () => {
      const name = 'bad-cut'
      const whole = packed(own(name), [{ name: 'package/noise', content: randomBytes(24 * 1024) }])
      for (let size = 1024; size < whole.length; size += 1024) {
        const reply = await publish(
          size % 2048 === 0 ? at.primary : at.node,
          publishDocument(own(name), { tarball: whole.subarray(0, size) }),
        )
        assert.equal(reply.status, 400, `${size}: ${await reply.text()}`)
      }
      assert.ok(!(await visible(name)))
    })

    it(`I16 ${FLIPS} flipped bits are refused, by the digest that npm sends`, async () => {
      const name = 'bad-flip'
      const whole = packed(own(name), [{ name: 'package/noise', content: randomBytes(4096) }])
      const document = publishDocument(own(name), { tarball: whole })
      for (let n = 0; n < FLIPS; n++) {
        const flipped = Buffer.from(whole)
        const at_ = Math.floor((n * whole.length) / FLIPS)
        flipped.writeUInt8(flipped.readUInt8(at_) ^ (1 << (n % 8)), at_)
        const attachments = {
          [`${name}-1.0.0.tgz`]: {
            content_type: 'application/octet-stream',
            data: flipped.toString('base64'),
            length: flipped.length,
          },
        }
        const reply = await publish(at.primary, { ...document, _attachments: attachments })
        assert.equal(reply.status, 400, `${at_}: ${await reply.text()}`)
      }
      assert.ok(!(await visible(name)))
    })
  })

  describe('K: documents', () => {
    const attachment = (document: Document): Record<string, unknown> => Object.values(document._attachments)[0] ?? {}
    const spoiled = (id: string, edit: (document: Document, name: string) => void): void =>
      refused(id, (name) => publishDocument(own(name), { edit: (document) => edit(document, name) }))
    spoiled('K09 the attachment has another name', (document) => {
      document._attachments = { 'other-1.0.0.tgz': attachment(document) }
    })
    spoiled('K09 no attachment', (document) => {
      document._attachments = {}
    })
    spoiled('K09 base64 that is none', (document) => Object.assign(attachment(document), { data: '!!!!' }))
    spoiled('K09 base64 that is cut', (document) =>
      Object.assign(attachment(document), { data: String(attachment(document).data).slice(0, -5) }),
    )
    spoiled('K09 a wrong length', (document) => Object.assign(attachment(document), { length: 5 }))
    spoiled('K09 a wrong integrity', (document) =>
      Object.assign(document.versions['1.0.0']?.dist ?? {}, {
        integrity: `sha512-${Buffer.alloc(64).toString('base64')}`,
      }),
    )
    spoiled('K09 a wrong shasum', (document) =>
      Object.assign(document.versions['1.0.0']?.dist ?? {}, { shasum: '0'.repeat(40) }),
    )
    spoiled('K09 three versions at once', (document, name) => {
      for (const version of ['1.1.0', '1.2.0']) document.versions[version] = { name, version, dist: {} }
    })
    spoiled('K09 another name in the entry', (document) =>
      Object.assign(document.versions['1.0.0'] ?? {}, { name: 'other' }),
    )
    spoiled('K09 a tag that names another version', (document) => {
      document['dist-tags'] = { latest: '9.9.9' }
    })
    for (const version of [
      '01.0.0',
      '1.0.0 ',
      ' 1.0.0',
      '1.0',
      'v1.0.0',
      'latest',
      `1.0.0-${'x'.repeat(300)}`,
      '1.0.0\n',
      '..',
      '1.0.0/../2',
      '',
    ])
      refused(`K10 the version ${JSON.stringify(version.slice(0, 20))}`, (name) => publishDocument({ name, version }))
    for (const body of [
      '{',
      'null',
      '[]',
      '"x"',
      '',
      '{"name":1}',
      '{}',
      `{"versions":${'['.repeat(100_000)}`,
      `{"name":"${'x'.repeat(20_000_000)}"}`,
      '\ufeff{}',
      '{"a":1}{"b":2}',
    ])
      refused(`a body of ${JSON.stringify(body.slice(0, 20))}`, () => body)

    for (const name of [
      '.hidden',
      '_x',
      'node_modules',
      'favicon.ico',
      'UPPER',
      'a b',
      'a~b',
      `${'x'.repeat(215)}`,
      'x'.repeat(100_000),
      '@/x',
      '@scope/',
      '@scope/.x',
      'a\u200bb',
      'раypal',
      'a%2fb',
      '__proto__/x',
    ])
      it(`B15, O07 the name ${JSON.stringify(name.slice(0, 20))} cannot be published`, async () => {
        for (const url of [at.primary, at.node]) {
          const begun = performance.now()
          const reply = await put(
            url,
            `${REPOSITORY}/${encodeURIComponent(name)}`,
            JSON.stringify(publishDocument({ name, version: '1.0.0' })),
          ).catch(() => undefined)
          assert.ok(reply === undefined || [400, 404, 405, 414, 431, 505].includes(reply.status), String(reply?.status))
          assert.ok(performance.now() - begun < 1000)
        }
      })
  })

  it('after all that nothing is recorded, and both processes are as they were', () => at.end([at.fleet.admin.slice(7)]))

  it('K07 __proto__ and constructor in a document change nothing in the process', async () => {
    const text = JSON.stringify(publishDocument(own('proto'))).replace(
      /^\{/,
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},',
    )
    const reply = await put(at.primary, `${REPOSITORY}/proto`, text)
    assert.ok([201, 400].includes(reply.status), String(reply.status))
    assert.equal((await publish(at.primary, publishDocument(own('proto-after')))).status, 201)
    for (const url of [at.primary, at.node]) {
      await until(async () => (await fetch(`${url}${REPOSITORY}/proto-after`)).status === 200)
      const document = (await (await fetch(`${url}${REPOSITORY}/proto-after`)).json()) as Record<string, unknown>
      assert.ok(!('polluted' in document))
    }
  })

  it('K10 a version that differs by its build only is the same version', async () => {
    const statuses: number[] = []
    for (const version of ['1.0.0', '1.0.0+build', '1.0.0+other'])
      statuses.push((await publish(at.primary, publishDocument({ name: 'built', version }))).status)
    assert.equal(statuses[0], 201)
    for (const status of statuses.slice(1)) assert.ok([400, 409].includes(status), String(status))
  })

  it('H11 of many who publish one version at once, at primary and node, exactly one wins, and its bytes are everywhere', async () => {
    for (const name of ['race-1', 'race-2', 'race-3']) {
      const tarballs = Array.from({ length: 10 }, () =>
        packed(own(name), [{ name: 'package/noise', content: randomBytes(1000) }]),
      )
      const replies = await Promise.all(
        tarballs.map((bytes, i) =>
          publish(i % 2 === 0 ? at.primary : at.node, publishDocument(own(name), { tarball: bytes })),
        ),
      )
      const winners = replies.flatMap(({ status }, i) => (status === 201 ? [i] : []))
      assert.equal(winners.length, 1, replies.map(({ status }) => status).join())
      assert.ok(replies.every(({ status }) => status === 201 || status === 409))
      for (const url of [at.primary, at.node]) {
        await until(async () => (await fetch(`${url}${REPOSITORY}/${name}`)).status === 200)
        const body = Buffer.from(await (await fetch(`${url}${REPOSITORY}/${name}/-/${name}-1.0.0.tgz`)).arrayBuffer())
        assert.equal(sha256(body), sha256(tarballs[winners[0] ?? 0] ?? Buffer.alloc(0)))
      }
    }
  })

  it('H11 the same for a file', async () => {
    const bodies = Array.from({ length: 20 }, () => randomBytes(5000))
    const replies = await Promise.all(
      bodies.map((body, i) => put(i % 2 === 0 ? at.primary : at.node, '/repository/files/race', body)),
    )
    const winners = bodies.filter((_, i) => replies[i]?.status === 201)
    assert.equal(winners.length, 1)
    assert.ok(replies.every(({ status }) => status === 201 || status === 409))
    // The winner may have published at the primary: then the node hears of it a moment later.
    await until(async () => (await fetch(`${at.node}/repository/files/race`)).status === 200)
    const body = Buffer.from(await (await fetch(`${at.node}/repository/files/race`)).arrayBuffer())
    assert.deepEqual(body, winners[0])
  })

  it('O10 of fifty uploads at once into a quota that holds one, one is taken and the others hear 507', async () => {
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        put(i % 2 === 0 ? at.primary : at.node, `/repository/tight/file-${i}`, randomBytes(1_000_000)),
      ),
    )
    const statuses = replies.map(({ status }) => status)
    assert.equal(statuses.filter((status) => status === 201).length, 1, statuses.join())
    assert.ok(
      statuses.every((status) => status === 201 || status === 507),
      statuses.join(),
    )
    assert.equal((await put(at.primary, '/repository/tight/small', randomBytes(100_000))).status, 201)
    assert.equal((await put(at.primary, '/repository/files/unharmed', randomBytes(100_000))).status, 201)
  })
})

/** Empty entries, more than any package has, made without holding each. */
function many(manifest: { name: string; content: string }): Buffer {
  const first = tar([manifest], Buffer.alloc(0))
  const empty = tar([{ name: 'package/empty' }], Buffer.alloc(0))
  return gzipSync(Buffer.concat([first, Buffer.alloc(empty.length * ENTRIES, empty), Buffer.alloc(1024)]), { level: 1 })
}
