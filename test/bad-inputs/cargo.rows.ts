import { type CrateDraft, crateOf, framed, manifestOf, publishBody } from '../support/crate.js'
import type { Entry } from '../support/tar-writer.js'
import { NO_DOCUMENTS, type Row, type Sent, shown, type Table, tarballs } from './rows.js'

const PATH = '/repository/bad-cargo/api/v1/crates/new'
const draft = (name: string): CrateDraft => ({ name, vers: '1.0.0' })
export const publishing = (body: Uint8Array): Sent => ({ method: 'PUT', path: PATH, body })

const files: [Entry, Entry] = [
  { name: 'any-1.0.0/Cargo.toml', content: manifestOf('any', '1.0.0') },
  { name: 'any-1.0.0/src/lib.rs', content: '' },
]
const archives: Row[] = tarballs('any-1.0.0', files, 200_000).map(([what, crate]) => ({
  what,
  send: () => publishing(publishBody(draft('any'), crate())),
}))

const document = Buffer.from(JSON.stringify(draft('any')))
const whole = publishBody(draft('any'))
const lengths: Row[] = Object.entries({
  'no length at all': Buffer.from([1, 0, 0]),
  'a document longer than the body': Buffer.concat([Buffer.alloc(4, 0x7f), document]),
  'a document of four gigabytes': Buffer.concat([Buffer.alloc(4, 0xff), document]),
  'a crate longer than the body': whole.subarray(0, -1),
  'a crate shorter than the body': Buffer.concat([whole, Buffer.alloc(9)]),
  'a crate of four gigabytes': Buffer.concat([
    framed(document, Buffer.alloc(0)).subarray(0, -4),
    Buffer.alloc(4, 0xff),
  ]),
}).map(([what, body]) => ({ what: `K11 ${what}`, send: () => publishing(body) }))

const versions = ['01.0.0', '1.0.0 ', ' 1.0.0', '1.0', 'v1.0.0', `1.0.0-${'x'.repeat(300)}`, '1.0.0\n', '..', '']
const names = ['..', 'a/b', 'a b', '1a', 'раypal', 'a\u200bb', 'nul', 'x'.repeat(65), 'x'.repeat(100_000), '']

export const cargoRows: Table = {
  format: 'cargo',
  sentence: (body) => (JSON.parse(body) as { errors: { detail: string }[] }).errors[0]?.detail,
  rows: [
    ...archives,
    { what: 'I07 another name inside', send: (name) => publishing(publishBody(draft(name), crateOf(draft('other')))) },
    {
      what: 'I07 another version inside',
      send: (name) =>
        publishing(publishBody({ name, vers: '2.0.0' }, crateOf(draft(name), [], manifestOf(name, '2.0.0')))),
    },
    ...lengths,
    ...NO_DOCUMENTS.map((text) => ({
      what: `a document of ${shown(text)}`,
      send: (name: string) => publishing(framed(Buffer.from(text), crateOf(draft(name)))),
    })),
    {
      what: 'K12 features that need each other, a hundred thousand of them',
      send: (name) => {
        const features = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`f${i}`, [`f${i + 1}`]]))
        return publishing(publishBody({ ...draft(name), features }))
      },
    },
    ...versions.map((vers) => ({
      what: `K10 the version ${shown(vers)}`,
      send: (name: string) => publishing(publishBody({ name, vers })),
    })),
    ...names.map((name) => ({ what: `O07 the name ${shown(name)}`, send: () => publishing(publishBody(draft(name))) })),
  ],
}
