/** What reads Maven's paths, POMs, XML and jars: what they find, and what they refuse. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readDirectory } from '../../../formats/archive/zip.js'
import { readEntry } from '../../../formats/archive/zip-content.js'
import { artifactAt, checksumOf, metadataFolder, packageAt, splitRest } from '../../../formats/maven/layout.js'
import { parsePom } from '../../../formats/maven/pom.js'
import { child, childText, parseXml } from '../../../formats/text/xml.js'
import { HeldBytes } from '../../../protocol/blobs/disk-bytes.js'
import { RegistryError } from '../../../protocol/errors.js'
import { jar, pom } from './jar.js'

const isInvalid = (error: unknown): boolean => error instanceof RegistryError && error.kind === 'invalid'

describe('paths of artifacts', () => {
  const rows: [path: string, name: string, base: string, version: string, rest: string][] = [
    ['org/example/app/1.0/app-1.0.jar', 'org.example:app', '1.0', '1.0', '.jar'],
    ['org/example/app/1.0/app-1.0-sources.jar', 'org.example:app', '1.0', '1.0', '-sources.jar'],
    ['org/example/app/1.0/app-1.0.pom.asc', 'org.example:app', '1.0', '1.0', '.pom.asc'],
    ['org/example/app/1.0/app-1.0.module', 'org.example:app', '1.0', '1.0', '.module'],
    ['org/example/app/1.0/app-1.0-bin.tar.gz', 'org.example:app', '1.0', '1.0', '-bin.tar.gz'],
    ['g/a/1.0+b~2/a-1.0+b~2.jar', 'g:a', '1.0+b~2', '1.0+b~2', '.jar'],
    ['g/a/1 0/a-1 0.jar', 'g:a', '1 0', '1 0', '.jar'],
    ['g/a/1.1-SNAPSHOT/a-1.1-SNAPSHOT.jar', 'g:a', '1.1-SNAPSHOT', '1.1-SNAPSHOT', '.jar'],
    [
      'g/a/1.1-SNAPSHOT/a-1.1-20261120.042440-12-tests.jar',
      'g:a',
      '1.1-SNAPSHOT',
      '1.1-20261120.042440-12',
      '-tests.jar',
    ],
    ['g/a/SNAPSHOT/a-20261120.042440-1.pom', 'g:a', 'SNAPSHOT', '20261120.042440-1', '.pom'],
    ['g/a_2.13/1.0/ivy-1.0.xml', 'g:a_2.13', '1.0', '1.0', '.xml'],
    ['g/a-1.0/1.0/a-1.0-1.0.jar', 'g:a-1.0', '1.0', '1.0', '.jar'],
  ]
  for (const [path, name, base, version, rest] of rows)
    it(path, () => {
      const found = artifactAt(path)
      assert.ok(found)
      assert.deepEqual(
        [found.package, found.base, found.version, found.rest, found.path],
        [name, base, version, rest, path],
      )
    })

  const refused = [
    'app-1.0.jar',
    'app/1.0/app-1.0.jar',
    'g/a/1.0/b.jar',
    'g/a/1.0/a-2.0.jar',
    'g/a/1.0/a-1.0',
    'g/a/1.0/a-1.0-',
    'g/a/1.0/a-1.01.jar',
    'g.h/a/1.0/a-1.0.jar',
    'g/a b/1.0/a b-1.0.jar',
    'g/a/1:0/a-1:0.jar',
    'g/a/1*/a-1*.jar',
    'g/ä/1/ä-1.jar',
    'g/a/1.1-20261120.042440-1/a-1.1-20261120.042440-1.jar',
    'g/a/1.1-SNAPSHOT/a-1.2-20261120.042440-1.jar',
    'g/a/1.1-SNAPSHOT/a-1.1-2026.04-1.jar',
    '../a/1/a-1.jar',
    'g/a/con/a-con.jar',
    `${'g/'.repeat(600)}a/1/a-1.jar`,
  ]
  for (const path of refused) it(`not ${path.slice(0, 60)}`, () => assert.equal(artifactAt(path), undefined))

  it('take classifiers and extensions apart', () => {
    const parts: [string, string, string][] = [
      ['.jar', '', 'jar'],
      ['-sources.jar', 'sources', 'jar'],
      ['-jdk1.5.jar', 'jdk1.5', 'jar'],
      ['-bin.tar.gz', 'bin', 'tar.gz'],
      ['.tar.gz.asc', '', 'tar.gz.asc'],
      ['-sources.jar.asc', 'sources', 'jar.asc'],
      ['.foo.bar', '', 'foo.bar'],
    ]
    for (const [rest, classifier, extension] of parts) assert.deepEqual(splitRest(rest), { classifier, extension })
  })

  it('tell checksums and metadata', () => {
    assert.deepEqual(checksumOf('g/a/1/a-1.jar.sha1'), { path: 'g/a/1/a-1.jar', algorithm: 'sha1' })
    assert.equal(checksumOf('g/a/1/a-1.jar'), undefined)
    assert.equal(metadataFolder('g/a/maven-metadata.xml'), 'g/a')
    assert.equal(metadataFolder('g/a/my-maven-metadata.xml'), undefined)
    assert.equal(packageAt('org/example/app'), 'org.example:app')
    assert.equal(packageAt('org'), ':org')
  })
})

describe('XML', () => {
  const parse = (text: string | Buffer) => parseXml(Buffer.from(text), { elements: 50, depth: 10 })

  it('is read with its text, attributes and references', () => {
    const root = parse(
      '\ufeff<?xml version="1.0"?>\n<!-- a --><a x="1 &lt; 2" y=\'"\'> t&amp;&#65;&#x42;<b/><![CDATA[<c>&amp;]]><?pi d?><b-2 >v</b-2 ></a>\n',
    )
    assert.equal(root.attributes.get('x'), '1 < 2')
    assert.equal(root.attributes.get('y'), '"')
    assert.equal(root.text, ' t&AB<c>&amp;')
    assert.deepEqual(
      root.children.map(({ name }) => name),
      ['b', 'b-2'],
    )
    assert.equal(childText(root, 'b-2'), 'v')
    assert.equal(childText(root, 'none'), undefined)
  })

  it('is read in the encodings that it comes in', () => {
    const latin = Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>', 'latin1')
    assert.equal(parse(latin).text, 'é')
    const wide = Buffer.from('\ufeff<?xml version="1.0" encoding="UTF-16"?><a>é</a>', 'utf16le')
    assert.equal(parse(wide).text, 'é')
  })

  const refused: [what: string, text: string | Buffer][] = [
    ['nothing', ''],
    ['text', 'hello'],
    ['a document type', '<!DOCTYPE a><a/>'],
    ['entities of its own', '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'],
    ['external entities', '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'],
    ['a document type inside', '<a><!DOCTYPE a></a>'],
    ['an entity that XML does not define', '<a>&nbsp;</a>'],
    ['a bare ampersand', '<a>a & b</a>'],
    ['a reference to no character', '<a>&#0;</a>'],
    ['a reference to half a character', '<a>&#xD800;</a>'],
    ['a reference beyond all characters', '<a>&#x110000;</a>'],
    ['an element without end', '<a><b></a>'],
    ['an end without beginning', '<a></b></a>'],
    ['two roots', '<a/><b/>'],
    ['text behind the root', '<a/>x'],
    ['an attribute twice', '<a x="1" x="2"/>'],
    ['an attribute without quotes', '<a x=1/>'],
    ['a comment without end', '<a><!-- </a>'],
    ['a comment with dashes', '<a><!-- -- --></a>'],
    ['control characters', '<a>\u0001</a>'],
    ['bytes that are not UTF-8', Buffer.from([0x3c, 0x61, 0x3e, 0xff, 0x3c, 0x2f, 0x61, 0x3e])],
    ['an unknown encoding', '<?xml version="1.0" encoding="UTF-7"?><a/>'],
    ['too deep nesting', '<a>'.repeat(11) + '</a>'.repeat(11)],
    ['too many elements', `<a>${'<b/>'.repeat(50)}</a>`],
    ['a "<" that begins nothing', '<a> < </a>'],
    ['a huge start of nothing', `<a ${' '.repeat(100_000)}`],
  ]
  for (const [what, text] of refused) it(`is refused with ${what}`, () => assert.throws(() => parse(text), isInvalid))

  it('refuses a field that stands there twice', () => {
    assert.throws(() => child(parse('<a><b/><b/></a>'), 'b'), isInvalid)
  })
})

describe('POMs', () => {
  const at = artifactAt('org/example/app/1.0/app-1.0.pom')
  const snapshot = artifactAt('org/example/app/1.1-SNAPSHOT/app-1.1-20261120.042440-1.pom')
  assert.ok(at && snapshot)

  it('say what they package', () => {
    assert.equal(parsePom(Buffer.from(pom('org.example', 'app', '1.0')), at).packaging, 'jar')
    const plugin = pom('org.example', 'app', '1.0', '<packaging> maven-plugin </packaging>')
    assert.deepEqual(parsePom(Buffer.from(plugin), at), { packaging: 'maven-plugin' })
  })
  it('inherit group and version', () => {
    const text =
      '<project><parent><groupId>org.example</groupId><artifactId>parent</artifactId><version>1.0</version></parent><artifactId>app</artifactId></project>'
    assert.equal(parsePom(Buffer.from(text), at).packaging, 'jar')
  })
  it('of a snapshot name the version without its build, and may name it with', () => {
    for (const version of ['1.1-SNAPSHOT', '1.1-20261120.042440-1'])
      assert.ok(parsePom(Buffer.from(pom('org.example', 'app', version)), snapshot))
  })
  it('may hold what a build fills in', () => {
    assert.ok(parsePom(Buffer.from(pom('org.example', 'app', '$' + '{revision}')), at))
  })
  const refused: [string, string][] = [
    ['another group', pom('org.other', 'app', '1.0')],
    ['another artifact', pom('org.example', 'other', '1.0')],
    ['another version', pom('org.example', 'app', '1.1')],
    ['no version', pom('org.example', 'app', '')],
    ['two versions', pom('org.example', 'app', '1.0', '<version>1.0</version>')],
    ['another root', '<html/>'],
    ['no XML', '{}'],
  ]
  for (const [what, text] of refused)
    it(`are refused with ${what}`, () => assert.throws(() => parsePom(Buffer.from(text), at), isInvalid))
})

describe('jars', () => {
  const limits = { entries: 100, directory: 10_000, name: 4096, bytes: 1e9, ratio: 1e9, ratioFrom: 1e9 }
  const find = async (archive: Buffer, name = 'x', limit = 1000) => {
    const bytes = new HeldBytes(archive, 'cache')
    const entry = (await readDirectory(bytes, limits)).find((each) => each.name === name)
    return entry && (await readEntry(bytes, entry, limit)).toString()
  }

  it('give single files, stored or deflated, also behind a comment', async () => {
    for (const stored of [true, false]) {
      const archive = jar(
        [
          { name: 'a', content: 'a' },
          { name: 'x', content: 'found', stored },
        ],
        'PK a comment',
      )
      assert.equal(await find(archive), 'found')
      assert.equal(await find(archive, 'none'), undefined)
    }
    assert.equal(await find(jar([])), undefined)
  })

  const whole = jar([{ name: 'x', content: 'x'.repeat(500) }])
  const refused: [what: string, archive: Buffer][] = [
    ['no bytes', Buffer.alloc(0)],
    ['other bytes', Buffer.alloc(5000, 'jar')],
    ['a missing end', whole.subarray(0, -1)],
    ['a missing beginning', whole.subarray(5)],
    ['bytes in front', Buffer.concat([Buffer.from('#!/bin/sh\n'), whole])],
    ['a wrong sum', jar([{ name: 'x', content: 'x', says: { crc: 1 } }])],
    ['a size that is too small', jar([{ name: 'x', content: 'xxxx', says: { size: 1 } }])],
    ['a size that is too large', jar([{ name: 'x', content: 'xxxx', says: { size: 9 } }])],
    ['a bomb', jar([{ name: 'x', content: Buffer.alloc(100_000) }])],
    ['encryption', jar([{ name: 'x', content: 'x', says: { flags: 1 } }])],
    ['an unknown method', jar([{ name: 'x', content: 'x', says: { method: 9 } }])],
    ['two names for one file', jar([{ name: 'y', content: 'x', says: { name: 'x' } }])],
    ['two files of one name', jar([1, 2].map((content) => ({ name: 'x', content: String(content) })))],
    ['too many entries', jar(Array.from({ length: 101 }, (_, i) => ({ name: `x${i}`, content: '' })))],
    ['a directory that is too large', jar([{ name: 'x'.repeat(20_000), content: '' }])],
  ]
  for (const [what, archive] of refused)
    it(`are refused with ${what}`, async () => assert.rejects(find(archive), isInvalid))
})
