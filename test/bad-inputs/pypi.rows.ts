import {
  BOUNDARY,
  FORM_TYPE,
  type FormOptions,
  form,
  metadataOf,
  type Project,
  part,
  sdist,
  type Upload,
  uploadForm,
  wheel,
} from '../support/python-package.js'
import { type Row, type Sent, shown, type Table, tarballs, zips } from './rows.js'

const any: Project = { name: 'any', version: '1.0' }
export const posting = (body: Uint8Array, type = FORM_TYPE): Sent => ({
  method: 'POST',
  path: '/repository/bad-pypi/legacy/',
  body,
  headers: { 'content-type': type },
})
const uploaded = (what: string, one: Upload | (() => Upload), options?: FormOptions): Row => ({
  what,
  send: () => posting(uploadForm(typeof one === 'function' ? one() : one, options)),
})

const archives: Row[] = [
  ...zips('any/', [
    { name: 'any-1.0.dist-info/METADATA', content: metadataOf(any) },
    { name: 'any-1.0.dist-info/WHEEL', content: 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n' },
    { name: 'any-1.0.dist-info/RECORD', content: '' },
  ]).map(([what, bytes]) => uploaded(`a wheel, ${what}`, () => ({ ...wheel(any), bytes: bytes() }))),
  ...tarballs('any-1.0', [{ name: 'any-1.0/PKG-INFO', content: metadataOf(any) }], 500_001).map(([what, bytes]) =>
    uploaded(`a source archive, ${what}`, () => ({ ...sdist(any), bytes: bytes() })),
  ),
]

const content = part('form-data; name="content"; filename="any-1.0-py3-none-any.whl"', wheel(any).bytes)
const forms: Row[] = [
  ['no boundary', Buffer.from('x'), 'multipart/form-data'],
  ['a boundary that never comes', uploadForm(wheel(any)), 'multipart/form-data; boundary=other'],
  ['a boundary without end', uploadForm(wheel(any)), `multipart/form-data; boundary=${'b'.repeat(5000)}`],
  ['no form at all', Buffer.from('{}'), 'application/json'],
  ['an empty one', Buffer.alloc(0), FORM_TYPE],
  ['one that is cut', uploadForm(wheel(any)).subarray(0, -10), FORM_TYPE],
  ['one without a file', form([part('form-data; name=":action"', Buffer.from('file_upload'))]), FORM_TYPE],
  ['two files', form([content, content]), FORM_TYPE],
  [
    'ten thousand fields',
    form(Array.from({ length: 10_000 }, (_, i) => part(`form-data; name="f${i}"`, Buffer.from('x')))),
    FORM_TYPE,
  ],
  [
    'a field of twenty megabytes',
    form([part('form-data; name="description"', Buffer.alloc(20_000_000, 'x'))]),
    FORM_TYPE,
  ],
  [
    'a header of a megabyte',
    Buffer.from(`--${BOUNDARY}\r\nX: ${'x'.repeat(1_000_000)}\r\n\r\nx\r\n--${BOUNDARY}--\r\n`),
    FORM_TYPE,
  ],
].map(([what, body, type]) => ({
  what: `a form: ${what as string}`,
  send: () => posting(body as Buffer, type as string),
}))

const versions = ['', ' ', 'latest', '1.0 0', '1..0', '1.0/../2', '1.0\n', `1.${'0.'.repeat(200)}0`, '1.0+../x', '१.0']
const names = ['', '..', 'a/b', '-a', 'a-', 'раypal', 'a\u200bb', 'x'.repeat(101), 'x'.repeat(60_000)]

export const pypiRows: Table = {
  format: 'pypi',
  sentence: (body) => (JSON.parse(body) as { detail: string }).detail,
  rows: [
    ...archives,
    ...forms,
    ...versions.map((version) => uploaded(`K10 the version ${shown(version)}`, wheel({ ...any, version }))),
    ...names.map((name) => uploaded(`O07 the name ${shown(name)}`, wheel({ ...any, name }))),
    ...[
      'any-1.0.exe',
      'any-1.0.egg',
      'other-1.0-py3-none-any.whl',
      'any-2.0-py3-none-any.whl',
      'any-1.0-py3-none.whl',
      '../any-1.0.tar.gz',
      'any-1.0-py3-none-any.whl\0.exe',
    ].map((file) => uploaded(`K17 the file ${shown(file)}`, { ...wheel(any), file })),
    uploaded('K17 metadata of another project', wheel(any, { metadata: metadataOf({ ...any, name: 'other' }) })),
    uploaded('K17 metadata of another version', wheel(any, { metadata: metadataOf({ ...any, version: '2.0' }) })),
    uploaded('K17 PKG-INFO of another project', sdist(any, { metadata: metadataOf({ ...any, name: 'other' }) })),
    uploaded('K17 Python versions of ten kilobytes', wheel({ ...any, requiresPython: `>=3${',!=3.1'.repeat(2000)}` })),
    uploaded('K17 metadata of five megabytes', wheel({ ...any, summary: 'x'.repeat(5_000_000) })),
    uploaded('a wrong sha256', wheel(any), { fields: { sha256_digest: '0'.repeat(64) } }),
    uploaded('a wrong md5', wheel(any), { fields: { md5_digest: '0'.repeat(32) } }),
    uploaded('a sha256 that is none', wheel(any), { fields: { sha256_digest: 'z' } }),
  ],
}
