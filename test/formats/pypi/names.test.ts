import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { watchBlake2 } from '../../../formats/pypi/digests.js'
import { parseFilename } from '../../../formats/pypi/filename.js'
import { checkMetadata, parseMetadata, requiresPython } from '../../../formats/pypi/metadata.js'
import { checkName, normalName } from '../../../formats/pypi/name.js'
import { compareVersions, isPrerelease, normalVersion, parseVersion } from '../../../formats/pypi/version.js'

describe('a version has one spelling', () => {
  const rows: [string, string][] = [
    ['1.0', '1.0'],
    ['v1.0', '1.0'],
    ['01.02', '1.2'],
    ['1.0-ALPHA.1', '1.0a1'],
    ['1.0c', '1.0rc0'],
    ['1.0.preview2', '1.0rc2'],
    ['1.0-1', '1.0.post1'],
    ['1.0.rev3', '1.0.post3'],
    ['1.0-dev', '1.0.dev0'],
    ['2!1.0b2.post3.dev4+Ubuntu-1_02', '2!1.0b2.post3.dev4+ubuntu.1.2'],
    ['0!1', '1'],
    ['20260101123456789012345', '20260101123456789012345'],
  ]
  for (const [written, normal] of rows)
    it(`${written} is ${normal}`, () => assert.equal(normalVersion(written), normal))
  for (const none of ['', 'one', '1.', '1..0', '1.0+', '1.0 1', '1.0-final', '1/2', '../1', '1'.repeat(300)])
    it(`${JSON.stringify(none.slice(0, 20))} is none`, () => assert.equal(normalVersion(none), undefined))
})

it('versions are in the order of PEP 440', () => {
  const ordered = [
    '0.9',
    '1.0.dev1',
    '1.0a1.dev1',
    '1.0a1',
    '1.0a1.post1',
    '1.0a2',
    '1.0a12',
    '1.0b1',
    '1.0rc1',
    '1.0',
    '1.0+abc',
    '1.0+abc.1',
    '1.0+5',
    '1.0+10',
    '1.0.post1.dev1',
    '1.0.post1',
    '1.0.1',
    '1.9',
    '1.10',
    '20260101123456789012345',
    '1!0.1',
  ]
  const parsed = ordered.map((text) => parseVersion(text) ?? assert.fail(text))
  for (let i = 1; i < parsed.length; i++) {
    const [a, b] = [parsed[i - 1], parsed[i]]
    assert.ok(
      a && b && compareVersions(a, b) < 0 && compareVersions(b, a) > 0,
      `${ordered[i - 1]} before ${ordered[i]}`,
    )
  }
  const [short, long] = [parseVersion('1.0'), parseVersion('1.0.0')]
  assert.ok(short && long && compareVersions(short, long) === 0)
  assert.deepEqual(
    ['1.0', '1.0a1', '1.0.dev1', '1.0.post1'].map((text) => isPrerelease(parseVersion(text) ?? assert.fail())),
    [false, true, true, false],
  )
})

it('names have one spelling', () => {
  assert.equal(normalName('Zope.Interface__x-y'), 'zope-interface-x-y')
  for (const name of ['a', 'A1', 'a.b_c-d']) checkName(name)
  for (const name of ['', '-a', 'a-', '.a', 'a b', 'a/b', 'é', '..', 'x'.repeat(101)])
    assert.throws(() => checkName(name), { kind: 'invalid' }, name)
})

describe('a file name says what the file is', () => {
  const rows: [string, string, string, string][] = [
    ['My_Pkg-1.0-py3-none-any.whl', 'bdist_wheel', 'my-pkg/1.0', 'py3'],
    ['my_pkg-1.0-1build-py2.py3-none-any.whl', 'bdist_wheel', 'my-pkg/1.0', 'py2.py3'],
    [
      'torch-2.0.0+cu118-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl',
      'bdist_wheel',
      'torch/2.0.0+cu118',
      'cp311',
    ],
    ['my_pkg-1.0.tar.gz', 'sdist', 'my-pkg/1.0', 'source'],
    ['my-pkg-1.0.zip', 'sdist', 'my-pkg/1.0', 'source'],
    ['Zope.Interface-1!1.0rc1.tar.gz', 'sdist', 'zope-interface/1!1.0rc1', 'source'],
  ]
  for (const [file, kind, below, python] of rows)
    it(file, () => {
      const parsed = parseFilename(file)
      assert.deepEqual([parsed.kind, parsed.path, parsed.python], [kind, `${below}/${file}`, python])
    })
  const none = [
    '',
    'a',
    'a.whl',
    'a-1.0.whl',
    'a-1.0-py3-none.whl',
    'a-1.0-x-py3-none-any.whl',
    'a-one-py3-none-any.whl',
    'a-1.0-py3-no ne-any.whl',
    'a-1.0-1-2-py3-none-any.whl',
    '-1.0-py3-none-any.whl',
    'a.tar.gz',
    '-1.0.tar.gz',
    'a-.tar.gz',
    'a-1.0.egg',
    'a-1.0.exe',
    'a-1.0.tar.bz2',
    '../a-1.0.tar.gz',
    'a/b-1.0.tar.gz',
    'a\\b-1.0.tar.gz',
    '.a-1.0.tar.gz',
    'é-1.0.tar.gz',
    `${'a'.repeat(200)}-1.0.tar.gz`,
    'a-1.0.tar.gz\n',
  ]
  for (const file of none)
    it(`${JSON.stringify(file.slice(0, 30))} is none`, () =>
      assert.throws(() => parseFilename(file), { kind: 'invalid' }))
})

describe('core metadata', () => {
  const distribution = parseFilename('my_pkg-1.0.tar.gz')
  const parse = (text: string) => parseMetadata(Buffer.from(text))
  it('is headers and a description', () => {
    const metadata = parse(
      'Metadata-Version: 2.1\r\nName: My.Pkg\r\nVersion: 1.0\r\nClassifier: a\r\nClassifier: b\r\nLicense: one\r\n  two\r\n\r\nText: here\n\nmore',
    )
    checkMetadata(metadata, distribution)
    assert.deepEqual(metadata.fields.get('classifier'), ['a', 'b'])
    assert.deepEqual(metadata.fields.get('license'), ['one\n  two'])
    assert.equal(metadata.description, 'Text: here\n\nmore')
  })
  it('may have its description among the headers', () =>
    assert.equal(parse('Name: a\nDescription: one\n        two\n       |three\n').description, 'one\ntwo\nthree'))
  const bad: [string, string][] = [
    ['of another project', 'Metadata-Version: 2.1\nName: other\nVersion: 1.0\n'],
    ['of another version', 'Metadata-Version: 2.1\nName: my-pkg\nVersion: 1.1\n'],
    ['with two names', 'Metadata-Version: 2.1\nName: my-pkg\nName: other\nVersion: 1.0\n'],
    ['without a version', 'Metadata-Version: 2.1\nName: my-pkg\n'],
    ['with a line that is no field', 'Metadata-Version: 2.1\nName: my-pkg\nhello\nVersion: 1.0\n'],
    ['that is empty', ''],
  ]
  for (const [how, text] of bad)
    it(`${how} is refused`, () => assert.throws(() => checkMetadata(parse(text), distribution), { kind: 'invalid' }))
  it('with a Requires-Python that no page can carry is refused', () => {
    for (const value of ['é', 'x'.repeat(600)])
      assert.throws(() => requiresPython(parse(`Requires-Python: ${value}\n`)), { kind: 'invalid' })
    assert.equal(requiresPython(parse('Requires-Python: >=3.8, <4\n')), '>=3.8, <4')
    assert.throws(() => parseMetadata(Buffer.from([0x4e, 0x3a, 0xff])), { kind: 'invalid' })
  })
})

it('BLAKE2b-256 is that of others', async () => {
  // As Python's hashlib.blake2b(digest_size=32) has them.
  const known: [Buffer, string][] = BLAKE2
  for (const [bytes, expected] of known)
    for (const size of [1, 7, 128, 1000]) {
      const hash = await watchBlake2(new Map())
      assert.ok(hash)
      for (let at = 0; at < bytes.length; at += size) hash.update(bytes.subarray(at, at + size))
      assert.equal(hash.digest(), expected)
    }
})

const BLAKE2: [Buffer, string][] = [
  [Buffer.from(''), '0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8'],
  [Buffer.from('abc'), 'bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319'],
  [Buffer.alloc(127, 'cairn'), '3ee8081c8d84b31fcbdbc65afc241f7089e6b8450d025f50e0572e03c408afd5'],
  [Buffer.alloc(128, 'cairn'), 'cf3ee75098515008fd9a240a80cbc59e51165a4163a07830f37d3e37d2135a75'],
  [Buffer.alloc(129, 'cairn'), 'ca2258bf89040af1d20851afa965f4017928f6d27a66fde1a2e4871da08d8979'],
  [Buffer.alloc(256, 'cairn'), '0cf7e8e8af6f7c9cf29aa8f36f3761e50cdfc6d94c54a0648d8697e25552ce2e'],
  [Buffer.alloc(1000, 'cairn'), 'c3d6179c9b2591318b2658a7b71d44a48fff87a0985234ba064af051cc4eeb04'],
]
