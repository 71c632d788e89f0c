import { jar, pluginJar, pom } from '../formats/maven/jar.js'
import { type Made, type Row, type Sent, type Table, zips } from './rows.js'

const GROUP = 'org.any'
const BASE = '/repository/bad-maven/org/any'
const PLUGIN = 'any-maven-plugin'
const put = (path: string, body: string | Uint8Array, headers: Record<string, string> = {}): Sent => ({
  method: 'PUT',
  path: `${BASE}/${path}`,
  body,
  headers,
})
const app = (what: string, body: string | Uint8Array): Row => ({ what, send: () => put('app/1.0/app-1.0.pom', body) })
const whole = pom(GROUP, 'app', '1.0')
const inside = (more: string): string => pom(GROUP, 'app', '1.0', more)
const before = (more: string): string => whole.replace('<project', `${more}<project`)
const LAUGHS = Array.from({ length: 9 }, (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`).join('')

const poms: Row[] = [
  ['J01 a document type', before('<!DOCTYPE project>')],
  ['J01 an external entity', before('<!DOCTYPE project [<!ENTITY x SYSTEM "file:///etc/passwd">]>')],
  ['J02 a billion laughs', before(`<!DOCTYPE project [<!ENTITY l0 "lol">${LAUGHS}]>`).replace('1.0', '&l9;')],
  ['J02 quadratic blow-up', before(`<!DOCTYPE project [<!ENTITY x "${'x'.repeat(50_000)}">]>`)],
  ['J04 parameter entities', before('<!DOCTYPE project [<!ENTITY % x SYSTEM "http://127.0.0.1:1/">%x;]>')],
  ['J05 ten thousand levels', inside('<a>'.repeat(10_000) + '</a>'.repeat(10_000))],
  [
    'J05 a hundred thousand attributes',
    inside(`<a ${Array.from({ length: 100_000 }, (_, i) => `a${i}="x"`).join(' ')}/>`),
  ],
  ['J05 three hundred thousand elements', inside('<a/>'.repeat(300_000))],
  ['J05 a text of five megabytes', inside(`<a>${'x'.repeat(5_000_000)}</a>`)],
  ['J06 an open element', inside('<a>')],
  ['J06 crossed elements', inside('<a><b></a></b>')],
  ['J06 two roots', `${whole}<project/>`],
  ['J06 NUL', inside('<a>\0</a>')],
  ['J06 a reference to no character', inside('<a>&#0;</a>')],
  ['J06 a text that is nothing', 'nothing'],
  ['J07 UTF-7', whole.replace('UTF-8', 'UTF-7')],
  ['J07 UTF-16 that says UTF-8', Buffer.from(whole, 'utf16le')],
  ['J07 bytes that are not UTF-8', Buffer.concat([Buffer.from(whole), Buffer.from([0xff])])],
  ['another group', pom('org.other', 'app', '1.0')],
  ['another artifact', pom(GROUP, 'other', '1.0')],
  ['another version', pom(GROUP, 'app', '2.0')],
].map(([what, body]) => app(what as string, body as string | Buffer))

const DESCRIPTOR = 'META-INF/maven/plugin.xml'
const describing = (content: string | Buffer, says = {}): Buffer => jar([{ name: DESCRIPTOR, content, says }])
const jars: Made[] = [
  ...zips('', [{ name: DESCRIPTOR, content: '<plugin/>' }]),
  ['I01 a descriptor of zeros', () => describing(Buffer.alloc(50_000_000))],
  ['I14 a wrong sum', () => describing('<plugin/>', { crc: 1 })],
  ['J01 a descriptor with a document type', () => describing('<!DOCTYPE a><plugin/>')],
  ['a descriptor of another group', () => pluginJar('org.other', PLUGIN, 'any')],
  ['a descriptor of another artifact', () => pluginJar(GROUP, 'other', 'any')],
  ['a descriptor with an impossible prefix', () => pluginJar(GROUP, PLUGIN, 'a b')],
]
const plugins: Row[] = jars.map(([what, bytes]) => ({
  what: `a plugin's jar, ${what}`,
  send: () => put(`${PLUGIN}/1.0/${PLUGIN}-1.0.jar`, bytes()),
}))

export const mavenRows: Table = {
  format: 'maven',
  sentence: (body) => (JSON.parse(body) as { detail: string }).detail,
  before: [
    put(`${PLUGIN}/1.0/${PLUGIN}-1.0.pom`, pom(GROUP, PLUGIN, '1.0', '<packaging>maven-plugin</packaging>')),
    put('kept/1.0/kept-1.0.jar', 'what is kept'),
  ],
  rows: [
    ...poms,
    ...plugins,
    { what: 'a wrong checksum', send: () => put('kept/1.0/kept-1.0.jar.sha1', '0'.repeat(40)) },
    { what: 'a checksum that is none', send: () => put('kept/1.0/kept-1.0.jar.sha1', 'nonsense') },
    { what: 'a checksum of a megabyte', send: () => put('kept/1.0/kept-1.0.jar.sha1', ' '.repeat(1_000_000)) },
    { what: 'a checksum of nothing', send: () => put('none/1.0/none-1.0.jar.sha1', '0'.repeat(40)), statuses: [409] },
    { what: 'other bytes', send: () => put('kept/1.0/kept-1.0.jar', 'something else'), statuses: [409] },
    {
      what: 'a wrong digest in a header',
      send: () => put('sum/1.0/sum-1.0.jar', 'x', { 'x-checksum-sha256': '0'.repeat(64) }),
    },
    { what: 'metadata of twenty megabytes', send: () => put('app/maven-metadata.xml', 'x'.repeat(20_000_000)) },
    { what: 'a content encoding', send: () => put('enc/1.0/enc-1.0.jar', 'x', { 'content-encoding': 'gzip' }) },
    ...[
      'app/1.0/app-2.0.jar',
      'app/1.0/app-1.0.j%5Cr',
      'app/1.0/app-1.0%00.jar',
      'app/..%2f..%2fx/1.0/x-1.0.jar',
      'app/1.0/',
      'app-1.0.jar',
    ].map((path) => ({ what: `B09 the path ${path}`, send: () => put(path, 'x'), statuses: [400, 404] })),
  ],
}
