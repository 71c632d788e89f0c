/** Packuments of other registries, right ones and wrong ones. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parsePackument, upstream } from '../../../formats/npm/upstream.js'
import { encodeListing, Listing } from '../../../protocol/kinds/listing.js'

const BASE = new URL('http://upstream.test/')
const SHA1 = 'a'.repeat(40)
const SHA512 = Buffer.alloc(64, 7)

function packument(versions: Record<string, unknown>, more: object = {}): Buffer {
  return Buffer.from(
    JSON.stringify({ name: 'left', versions, 'dist-tags': { latest: '1.0.0', old: '0.0.1' }, ...more }),
  )
}

function entry(version: string, dist: object = {}): object {
  return {
    name: 'left',
    version,
    dependencies: { right: '^1' },
    dist: { tarball: `https://h/left-${version}.tgz`, ...dist },
  }
}

describe('an upstream’s packument', () => {
  it('becomes a listing that reads back as it was', () => {
    const document = packument({
      '1.0.0': entry('1.0.0', { integrity: `sha512-${SHA512.toString('base64')}`, shasum: SHA1 }),
    })
    const { urls, ...listed } = parsePackument('left', document)
    const listing = new Listing('left', encodeListing(listed))
    const version = listing.versions.get('1.0.0')
    assert.deepEqual(version?.files, [
      { path: 'left/-/left-1.0.0.tgz', offered: true, promised: { sha512: SHA512.toString('hex'), sha1: SHA1 } },
    ])
    assert.match(version?.meta ?? '', /^\{"dist":\{"tarball":"left\/-\/left-1\.0\.0\.tgz"/)
    assert.deepEqual(listing.tags, { latest: '1.0.0' })
    assert.equal(listing.owner('left/-/left-1.0.0.tgz')?.version.version, '1.0.0')
    assert.equal(urls.get('left/-/left-1.0.0.tgz'), 'https://h/left-1.0.0.tgz')
    assert.equal(encodeListing(parsePackument('left', document)), encodeListing(listed))
  })

  const leftOut: [string, Record<string, unknown>][] = [
    ['that is no version', { 'not-a-version': entry('not-a-version') }],
    ['in another spelling', { 'v1.0.0': entry('v1.0.0') }],
    ['of another name', { '1.0.0': { ...entry('1.0.0'), name: 'right' } }],
    ['that contradicts its key', { '1.0.0': entry('2.0.0') }],
    ['without a tarball', { '1.0.0': { name: 'left', version: '1.0.0' } }],
    ['that is null', { '1.0.0': null }],
    ['whose name climbs', { '1.0.0/../../x': entry('1.0.0/../../x') }],
  ]
  for (const [what, versions] of leftOut)
    it(`a version ${what} is left out`, () => {
      assert.deepEqual(
        parsePackument('left', packument({ ...versions, '3.0.0': entry('3.0.0') })).versions.map((one) => one.version),
        ['3.0.0'],
      )
    })

  for (const [what, document] of [
    ['a page', Buffer.from('<html>')],
    ['a list', Buffer.from('[]')],
    ['another package', packument({}, { name: 'right' })],
    ['bytes that are not UTF-8', Buffer.from([0xff, 0xfe])],
  ] as const)
    it(`${what} is refused`, () => assert.throws(() => parsePackument('left', document)))

  it('a dependency or a version called like a prototype changes none', () => {
    parsePackument(
      'left',
      Buffer.from('{"name":"left","versions":{"__proto__":{"x":1},"constructor":{"prototype":{"x":1}}}}'),
    )
    assert.equal(({} as { x?: number }).x, undefined)
  })

  it('is asked for by name where that is a name, and tarballs belong to their package', () => {
    const { listing } = upstream
    assert.equal(listing?.ask('@scope/left', BASE)?.path, '@scope%2fleft')
    for (const name of ['../x', '@a/../b', 'a/b', 'a?b', 'a#b', 'a b', 'x'.repeat(215)])
      assert.equal(listing?.ask(name, BASE), undefined, name)
    assert.equal(listing?.packageOf('@scope/left/-/left-1.0.0.tgz'), '@scope/left')
    assert.equal(listing?.packageOf('left/-/left-1.0.0.tgz'), 'left')
    for (const path of ['left', 'left/-/x/left.tgz', '-/left.tgz', 'a/b/-/b-1.0.0.tgz', 'left/-/left-1.0.0.zip'])
      assert.equal(listing?.packageOf(path), undefined, path)
  })
})
