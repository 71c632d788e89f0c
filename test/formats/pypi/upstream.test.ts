/** Project pages of other indexes, right ones, old ones and hostile ones. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Listed, listed } from '../../../formats/pypi/entry.js'
import { parseProject, upstream } from '../../../formats/pypi/upstream.js'
import { encodeListing, Listing } from '../../../protocol/kinds/listing.js'

const URL_OF_PAGE = 'https://index.test/simple/left-pad/'
const SHA256 = 'a'.repeat(64)
const OTHER = 'b'.repeat(64)
const WHEEL = 'left_pad-1.0-py3-none-any.whl'
const SDIST = 'left_pad-1.0.tar.gz'

function parse(page: string | Uint8Array, url = URL_OF_PAGE) {
  return parseProject('left-pad', Buffer.from(page), { url })
}

function json(files: object[], more: object = {}): string {
  return JSON.stringify({ meta: { 'api-version': '1.4' }, name: 'left-pad', files, versions: [], ...more })
}

function html(...lines: string[]): string {
  return `<!DOCTYPE html><html><head></head><body>\n${lines.join('\n')}\n</body></html>`
}

/** As the index of this registry shows them afterwards. */
function shown({ urls: _, ...offering }: ReturnType<typeof parseProject>): Listed[] {
  const listing = new Listing('left-pad', encodeListing(offering))
  return [...listing.versions.values()].flatMap(listed)
}

describe('an upstream’s page of a project', () => {
  const everything = {
    filename: WHEEL,
    url: '../../files/left_pad-1.0-py3-none-any.whl#sha256=ignored',
    hashes: { sha256: SHA256.toUpperCase(), md5: 'c'.repeat(32), blake2b_256: OTHER },
    'requires-python': '>=3.8',
    size: 123,
    'upload-time': '2024-02-03T04:05:06.789012Z',
    yanked: 'broken',
    'core-metadata': { sha256: OTHER },
    provenance: 'https://index.test/integrity/left-pad',
  }
  const wheel = {
    file: WHEEL,
    path: `left-pad/1.0/${WHEEL}`,
    hashes: { sha256: SHA256, md5: 'c'.repeat(32) },
    isWheel: true,
    metadata: OTHER,
    hasProvenance: true,
    uploaded: '2024-02-03T04:05:06.789Z',
    requiresPython: '>=3.8',
    size: 123,
    yanked: 'broken',
  }

  it('as JSON becomes a listing with all that it says, and reads back so', () => {
    const sdist = { filename: SDIST, url: '/left_pad-1.0.tar.gz', hashes: {}, 'upload-time': '2024-01-01T00:00:00Z' }
    const offering = parse(json([everything, sdist], { 'project-status': { status: 'archived', reason: 'done' } }))
    assert.deepEqual(shown(offering), [
      wheel,
      {
        file: SDIST,
        path: `left-pad/1.0/${SDIST}`,
        hashes: {},
        isWheel: false,
        metadata: undefined,
        hasProvenance: false,
        uploaded: '2024-01-01T00:00:00.000Z',
      },
    ])
    assert.equal(offering.versions[0]?.publishedAt, '2024-01-01T00:00:00.000Z')
    assert.deepEqual(JSON.parse(offering.meta), { status: 'archived', reason: 'done' })
    assert.deepEqual(Object.fromEntries(offering.urls ?? []), {
      [`left-pad/1.0/${WHEEL}`]: `https://index.test/files/${WHEEL}`,
      [`left-pad/1.0/${WHEEL}.metadata`]: `https://index.test/files/${WHEEL}.metadata`,
      [`left-pad/1.0/${WHEEL}.provenance`]: 'https://index.test/integrity/left-pad',
      [`left-pad/1.0/${SDIST}`]: `https://index.test/${SDIST}`,
    })
  })

  it('as HTML says the same, as far as HTML can', () => {
    const { versions, meta } = parse(
      html(
        '<meta name="pypi:repository-version" content="1.4"><meta name=pypi:project-status content=archived>',
        `<a href="../../files/${WHEEL}#sha256=${SHA256}" data-requires-python="&gt;=3.8" data-yanked="broken"`,
        ` data-core-metadata="sha256=${OTHER}" data-provenance="https://index.test/integrity/left-pad">${WHEEL}</a>`,
      ),
    )
    const { size: _s, uploaded: _u, ...rest } = wheel
    const found = shown({ ...parse(html()), versions: versions.map((one) => ({ ...one, publishedAt: 'then' })), meta })
    assert.deepEqual(found, [{ ...rest, hashes: { sha256: SHA256 }, uploaded: 'then' }])
    assert.equal(versions[0]?.publishedAt, '')
    assert.deepEqual(JSON.parse(meta), { status: 'archived' })
  })

  it('is the same listing each time, whose versions come in the order of publication', () => {
    const file = (version: string, year: number) => ({
      filename: `left_pad-${version}.tar.gz`,
      url: `left_pad-${version}.tar.gz`,
      hashes: { sha256: SHA256 },
      'upload-time': `${year}-01-01T00:00:00Z`,
    })
    const page = json([file('2.0', 2020), file('1.9', 2022), file('1.0', 2010)])
    assert.deepEqual(
      parse(page).versions.map(({ version }) => version),
      ['1.0', '2.0', '1.9'],
    )
    assert.equal(encodeListing(parse(page)), encodeListing(parse(page)))
  })

  it('a version of which some files are yanked is not, and those are', () => {
    const [one, two] = shown(parse(json([everything, { filename: SDIST, url: SDIST, hashes: {} }])))
    assert.equal(one?.yanked, 'broken')
    assert.equal(two?.yanked, undefined)
    const [version] = parse(json([everything, { filename: SDIST, url: SDIST, hashes: {}, yanked: true }])).versions
    assert.equal(JSON.parse(version?.meta ?? '').yanked, 'broken')
  })

  it('names files by their addresses in HTML, as installers do', () => {
    const [file] = shown(parse(html(`<a href="left_pad-1.0%2Bcpu-cp311-cp311-linux_x86_64.whl">other text</a>`)))
    assert.equal(file?.path, 'left-pad/1.0+cpu/left_pad-1.0+cpu-cp311-cp311-linux_x86_64.whl')
  })

  const spellings: [string, string][] = [
    ['upper case and no quotes', `<A HREF=${WHEEL}#sha256=${SHA256}>`],
    ['single quotes and blanks', `<a\n class='x' href = '${WHEEL}#sha256=${SHA256}' >`],
    ['references', `<a href="left&#95;pad-1.0-py3-none-any&#x2e;whl#sha256&equals;x&amp;sha256=${SHA256}">`],
    ['a base', `<base href="https://index.test/simple/left-pad/"><a href="${WHEEL}#sha256=${SHA256}">`],
    [
      'comments and scripts',
      `<!-- <a href="x"> --><script>"<a href='y'>"</SCRIPT><a href="${WHEEL}#sha256=${SHA256}">`,
    ],
    ['no end', `<a href="${WHEEL}#sha256=${SHA256}"><a href="left_pad-2.0.tar.gz`],
    ['nonsense before', `<<a <3 </a href=x><a href="${WHEEL}#sha256=${SHA256}" href="twice" =x ">`],
  ]
  for (const [what, page] of spellings)
    it(`is read with ${what}`, () => {
      const { urls } = parse(page)
      assert.deepEqual([...(urls?.values() ?? [])], [`${URL_OF_PAGE}${WHEEL}`])
      assert.deepEqual(shown(parse(page))[0]?.hashes, { sha256: SHA256 })
    })

  const nowhere = [
    `javascript:alert(1)//${WHEEL}`,
    `data:text/plain,${WHEEL}`,
    `file:///etc/${WHEEL}`,
    `ftp://index.test/${WHEEL}`,
    `http://index.test/${WHEEL}`,
    `https://who:secret@index.test/${WHEEL}`,
    `https://[/${WHEEL}`,
    `https://index.test/${'x'.repeat(5000)}/${WHEEL}`,
    '',
  ]
  for (const url of nowhere)
    it(`a link to ${url.slice(0, 60)} is left out, in both forms`, () => {
      assert.deepEqual(parse(html(`<a href="${url}">x</a>`)).versions, [])
      assert.deepEqual(parse(json([{ filename: WHEEL, url, hashes: {} }])).versions, [])
      // So is a provenance, and its file stays.
      const [file] = shown(parse(json([{ filename: WHEEL, url: WHEEL, hashes: {}, provenance: url || 7 }])))
      assert.equal(file?.hasProvenance, false)
    })

  for (const file of [
    'right-1.0.tar.gz',
    'left-pad-extra-1.0.tar.gz',
    'left_pad-1.0.exe',
    'left_pad-1.0.egg',
    'left_pad.whl',
    'left_pad-not.a.version.tar.gz',
    '../left_pad-1.0.tar.gz',
    'a/../left_pad-1.0.tar.gz',
    `left_pad-1.0\0.tar.gz`,
    '__proto__',
  ])
    it(`a file called ${JSON.stringify(file)} is left out`, () => {
      const { versions } = parse(
        json([
          { filename: file, url: 'x', hashes: {} },
          { filename: SDIST, url: SDIST, hashes: {} },
        ]),
      )
      assert.deepEqual(
        versions.flatMap(({ files }) => files.map(({ path }) => path)),
        [`left-pad/1.0/${SDIST}`],
      )
    })

  it('of two files with one name the first counts', () => {
    const { urls, versions } = parse(html(`<a href="/1/${SDIST}"></a>`, `<a href="/2/${SDIST}"></a>`))
    assert.deepEqual([...(urls?.values() ?? [])], [`https://index.test/1/${SDIST}`])
    assert.equal(versions[0]?.files.length, 1)
  })

  it('what is no hash, size, time, version of Python or status is not passed on', () => {
    const nonsense = {
      hashes: { sha256: 'x', md5: 5, sha512: SHA256 },
      size: -1,
      'upload-time': 'soon',
      'requires-python': '>=3\n<script>',
      'core-metadata': 'yes',
    }
    const offering = parse(
      json([{ filename: WHEEL, url: WHEEL, ...nonsense }], { 'project-status': { status: '<b>', reason: 5 } }),
    )
    const [file] = shown(offering)
    assert.deepEqual(file?.hashes, {})
    assert.deepEqual(
      [file?.size, file?.requiresPython, file?.metadata, file?.uploaded, offering.meta],
      [undefined, undefined, undefined, '', ''],
    )
  })

  it('a reason with tabs and line breaks stays on one line of the listing', () => {
    const [file] = shown(parse(json([{ ...everything, yanked: 'a\tb\nc\u2028' }])))
    assert.equal(file?.yanked, 'a\tb\nc\u2028')
  })

  for (const [what, page] of [
    ['about another project', json([], { name: 'right' })],
    ['without a name', '{"files":[]}'],
    ['without files', '{"name":"left-pad"}'],
    ['cut off', '{"name":"left-pad","files":[{'],
    ['of another major version', json([], { meta: { 'api-version': '2.0' } })],
    ['with more links than any project has', html('<a href=x>'.repeat(100_002))],
    ['of another major version in HTML', '<meta name="pypi:repository-version" content="2.0">'],
  ] as const)
    it(`one ${what} is refused`, () => assert.throws(() => parse(page)))

  it('a page made to be slow is read in one pass', () => {
    const many = 1_000_000
    for (const page of [
      '<a '.repeat(many),
      '<a href="'.repeat(many),
      '<'.repeat(many),
      '<!--'.repeat(many),
      "<a x='".repeat(many),
      `<a ${'='.repeat(many)}`,
      `<a ${'& '.repeat(many)}>`,
      `<a href="${'&#1;'.repeat(many)}">`,
      '<script'.repeat(many),
      '<script>'.repeat(many),
    ])
      assert.deepEqual(parse(page).versions, [])
  })

  it('is asked for below the index, or of a host alone below its /simple/', () => {
    const { listing } = upstream
    const ask = (name: string, url: string) => {
      const asked = listing?.ask(name, new URL(url))
      return asked && new URL(asked.path, url).href
    }
    assert.equal(ask('left-pad', 'https://index.test/'), 'https://index.test/simple/left-pad/')
    assert.equal(ask('left-pad', 'https://index.test/simple/'), 'https://index.test/simple/left-pad/')
    assert.equal(ask('left-pad', 'https://index.test/root/+simple/'), 'https://index.test/root/+simple/left-pad/')
    for (const name of ['Left_Pad', '../x', 'a/b', 'a?b', '-a', '', 'x'.repeat(101)])
      assert.equal(ask(name, 'https://index.test/'), undefined, name)
  })

  it('files belong to their project, and to none in another spelling', () => {
    const { listing } = upstream
    assert.equal(listing?.packageOf(`left-pad/1.0/${WHEEL}.metadata`), 'left-pad')
    for (const path of [
      'left-pad',
      'left-pad/1.0',
      `Left.Pad/1.0/${WHEEL}`,
      `left-pad/1.0/x/${WHEEL}`,
      'simple/left-pad',
    ])
      assert.equal(listing?.packageOf(path), undefined, path)
  })
})
