/** What counts as a manifest, as a name, as a digest, and what a page of a list is. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { challenge } from '../../../formats/oci/challenge.js'
import { checkDigest } from '../../../formats/oci/digest.js'
import { entryOf, readEntry } from '../../../formats/oci/entry.js'
import { parseManifest } from '../../../formats/oci/manifest.js'
import { checkName, checkTag } from '../../../formats/oci/name.js'
import { linkTo, pageAsked, pageOf } from '../../../formats/oci/page.js'
import { RegistryError } from '../../../protocol/errors.js'
import { requestOf } from '../../support/request.js'

const IMAGE = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json'
const LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
const A = `sha256:${'a'.repeat(64)}`
const B = `sha512:${'b'.repeat(128)}`
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: A, size: 2 }
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: B, size: 3 }
const image = { schemaVersion: 2, config, layers: [layer] }

describe('manifests', () => {
  it('take their type from the header, else from themselves, else from their shape', () => {
    for (const [document, header, type] of [
      [image, IMAGE, IMAGE],
      [image, `${DOCKER}; charset=utf-8`, DOCKER],
      [{ ...image, mediaType: DOCKER }, undefined, DOCKER],
      [{ ...image, mediaType: IMAGE }, 'application/json', IMAGE],
      [image, undefined, IMAGE],
      [{ schemaVersion: 2, manifests: [] }, undefined, INDEX],
      [{ schemaVersion: 2, manifests: [], mediaType: LIST }, LIST, LIST],
    ] as const)
      assert.equal(parse(document, header).mediaType, type)
  })

  it('name what must be there', () => {
    const nondistributable = { ...layer, mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip' }
    const foreign = { ...layer, mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' }
    const parsed = parse({ ...image, layers: [layer, nondistributable, foreign] }, IMAGE)
    assert.deepEqual(parsed.blobs, [config, layer])
    assert.deepEqual(parse({ schemaVersion: 2, manifests: [config] }, INDEX).manifests, [config])
  })

  it('are what they say, else what their config is; an index says nothing', () => {
    assert.equal(parse({ ...image, artifactType: 'a/b' }, IMAGE).artifactType, 'a/b')
    assert.equal(parse(image, IMAGE).artifactType, config.mediaType)
    assert.equal(parse({ schemaVersion: 2, manifests: [] }, INDEX).artifactType, undefined)
  })

  it('are refused when they are none', () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    for (const [document, header] of [
      ['', IMAGE],
      ['{', IMAGE],
      ['null', IMAGE],
      [deep, IMAGE],
      [{}, IMAGE],
      [{ ...image, schemaVersion: 1 }, IMAGE],
      [{ ...image, schemaVersion: '2' }, IMAGE],
      [{ ...image, mediaType: DOCKER }, IMAGE],
      [image, 'application/vnd.docker.distribution.manifest.v1+prettyjws'],
      [{ ...image, config: undefined }, IMAGE],
      [{ ...image, config: [] }, IMAGE],
      [{ ...image, layers: {} }, IMAGE],
      [{ ...image, layers: [null] }, IMAGE],
      [{ ...image, layers: [{ ...layer, size: -1 }] }, IMAGE],
      [{ ...image, layers: [{ ...layer, size: 1.5 }] }, IMAGE],
      [{ ...image, layers: [{ ...layer, digest: A.toUpperCase() }] }, IMAGE],
      [{ ...image, layers: [{ ...layer, digest: 'md5:00' }] }, IMAGE],
      [{ ...image, layers: [{ ...layer, mediaType: '' }] }, IMAGE],
      [{ ...image, layers: Array.from({ length: 10_001 }, () => layer) }, IMAGE],
      [{ ...image, annotations: { a: 1 } }, IMAGE],
      [{ ...image, annotations: 'x' }, IMAGE],
      [{ ...image, subject: 'x' }, IMAGE],
      [{ ...image, manifests: [] }, IMAGE],
      [{ schemaVersion: 2, manifests: [], layers: [] }, INDEX],
      [{ schemaVersion: 2 }, INDEX],
    ] as const)
      assert.throws(
        () => parse(document, header),
        (error) => error instanceof RegistryError && error.kind === 'invalid',
        JSON.stringify(document).slice(0, 200),
      )
  })

  it('leave an entry that lists them among referrers', () => {
    const subject = { mediaType: IMAGE, digest: A, size: 9 }
    const referring = parse({ ...image, subject, annotations: { a: 'b' } }, IMAGE)
    assert.deepEqual(readEntry(entryOf(referring, 5)), {
      mediaType: IMAGE,
      size: 5,
      artifactType: config.mediaType,
      subject: A,
      annotations: { a: 'b' },
      references: [A, B],
    })
    assert.equal(readEntry(entryOf(parse({ ...image, annotations: { a: 'b' } }, IMAGE), 5)).annotations, undefined)
  })
})

describe('names', () => {
  it('of images', () => {
    for (const name of ['a', 'library/nginx', 'a.b/c_d/e__f/g---h', '0/1', 'a'.repeat(255)])
      assert.equal(checkName(name), name)
    for (const name of [
      '',
      'A',
      '-a',
      'a-',
      'a..b',
      'a___b',
      'a/',
      '/a',
      'a//b',
      '_blobs',
      'a/_blobs',
      'a b',
      'é',
      'a'.repeat(256),
    ])
      assert.throws(() => checkName(name), { code: 'NAME_INVALID' }, name)
  })

  it('of tags and digests', () => {
    for (const tag of ['latest', 'V1.0_x-y', '_', 'a'.repeat(128)]) assert.equal(checkTag(tag), tag)
    for (const tag of ['', '.a', '-a', 'a/b', 'a:b', 'a'.repeat(129)]) assert.throws(() => checkTag(tag), tag)
    for (const digest of [A, B]) assert.equal(checkDigest(digest), digest)
    for (const digest of ['', 'sha256:', `${A}0`, A.toUpperCase(), `sha512:${'a'.repeat(64)}`, `md5:${'a'.repeat(32)}`])
      assert.throws(() => checkDigest(digest), { code: 'DIGEST_INVALID' }, digest)
  })

  it('are matched in no time, however they are made', () => {
    const before = performance.now()
    assert.throws(() => checkName(`${'a-'.repeat(127)}!`))
    assert.ok(performance.now() - before < 100)
  })
})

describe('pages', () => {
  const ask = (query: string) => pageAsked(new URLSearchParams(query), 3)
  const all = ['a', 'b', 'c', 'd']

  it('hold so many, after the last one, which need not exist', () => {
    assert.deepEqual(pageOf(all, ask('')), { entries: ['a', 'b', 'c'], next: true })
    assert.deepEqual(pageOf(all, ask('n=2&last=b')), { entries: ['c', 'd'], next: false })
    assert.deepEqual(pageOf(all, ask('last=bb')), { entries: ['c', 'd'], next: false })
    assert.deepEqual(pageOf(all, ask('last=z')), { entries: [], next: false })
    assert.deepEqual(pageOf(all, ask('n=0')), { entries: [], next: false })
  })

  it('are asked for with a number', () => {
    for (const query of ['n=-1', 'n=x', 'n=', 'n=1e3']) assert.throws(() => ask(query), { code: 'SIZE_INVALID' }, query)
  })

  it('link to the next one, whatever is in it', () => {
    const link = linkTo('/v2/a/referrers/x', ask('n=2'), A, { artifactType: 'a/b+c>; rel="evil"' })
    assert.equal(
      new URL(link.slice(1, link.indexOf('>')), 'http://x').searchParams.get('artifactType'),
      'a/b+c>; rel="evil"',
    )
  })
})

describe('challenges', () => {
  it('ask for what the request needs, and name nothing that a header cannot hold', () => {
    const scope = (method: string, target: string) => /scope="([^"]*)"/.exec(challenge(requestOf(method, target)))?.[1]
    assert.equal(scope('GET', '/v2/key/a/b/manifests/latest'), 'repository:key/a/b:pull')
    assert.equal(scope('PUT', '/v2/key/a/manifests/latest'), 'repository:key/a:pull,push')
    assert.equal(scope('DELETE', '/v2/key/a/manifests/latest'), 'repository:key/a:delete')
    assert.equal(
      scope('POST', '/v2/key/a/blobs/uploads/?mount=x&from=key%2Fb'),
      'repository:key/a:pull,push repository:key/b:pull',
    )
    assert.equal(scope('POST', '/v2/key/a/blobs/uploads/?mount=x&from=%22%0d%0aevil'), 'repository:key/a:pull,push')
    assert.equal(scope('GET', '/v2/'), undefined)
  })
})

function parse(document: unknown, header: string | undefined) {
  const text = typeof document === 'string' ? document : JSON.stringify(document)
  return parseManifest(Buffer.from(text), header)
}
