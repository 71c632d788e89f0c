/** What `cairn up` would run, and what it says about parts that died. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { resolveSettings } from '../../deploy/config/resolve.js'
import { lastSentence } from '../../deploy/up/last-sentence.js'
import { type Plan, plan } from '../../deploy/up/plan.js'
import { RegistryError } from '../../protocol/errors.js'

function planned(options: Record<string, string>, nodes = 2, environment: Record<string, string> = {}): Plan {
  const { values } = resolveSettings('up', { options, environment, file: undefined, folder: '/srv' })
  return plan({ values, nodes, options, environment })
}

it('each part has its data, port and command line', () => {
  const { primary, nodes } = planned({ port: '8080', data: './data' })
  assert.deepEqual(primary.args, ['primary', '--data', '/srv/data/primary', '--port', '8080'])
  assert.deepEqual(primary.ports, [9080])
  assert.deepEqual(
    nodes.map(({ name, port, url, data }) => [name, port, url, data]),
    [
      ['node-1', 8081, 'http://127.0.0.1:8081', '/srv/data/node-1'],
      ['node-2', 8082, 'http://127.0.0.1:8082', '/srv/data/node-2'],
    ],
  )
})

it('no two parts want the same port', () => {
  for (const port of ['8080', '65000', '64000', '63500']) {
    const { primary, nodes } = planned({ port }, 64)
    const ports = [primary, ...nodes].flatMap((part) => [part.port, ...part.ports])
    assert.equal(new Set(ports).size, ports.length)
    assert.ok(ports.every((each) => each > 0 && each <= 65_535))
  }
})

it('what was typed is handed on to the parts that it concerns', () => {
  const { primary, nodes } = planned({ host: '0.0.0.0', cacheBytes: '1GiB', restoreDays: '3' }, 1)
  assert.deepEqual(primary.args.slice(5), ['--host', '0.0.0.0', '--restore-days', '3'])
  assert.deepEqual(nodes[0]?.args.slice(7), ['--host', '0.0.0.0', '--cache-bytes', '1GiB'])
  assert.equal(primary.url, 'http://127.0.0.1:8080')
})

it('a part does not get the secrets of another', () => {
  const environment = {
    PATH: '/bin',
    CAIRN_DATABASE_URL: 'postgres://u:p@h/d',
    CAIRN_ADMIN_PASSWORD: 'long enough',
    CAIRN_TOKEN: 't',
    CAIRN_PORT: '1234',
    CAIRN_CACHE_BYTES: '1GiB',
    CAIRN_CONFIG: '/etc/c.json',
  }
  const { primary, nodes } = planned({}, 1, environment)
  assert.deepEqual(Object.keys(primary.environment), [
    'PATH',
    'CAIRN_DATABASE_URL',
    'CAIRN_ADMIN_PASSWORD',
    'CAIRN_CONFIG',
  ])
  assert.deepEqual(Object.keys(nodes[0]?.environment ?? {}), ['PATH', 'CAIRN_CACHE_BYTES', 'CAIRN_CONFIG'])
  assert.equal(primary.port, 1234)
})

it('ports that do not fit are refused', () => {
  const refused = (error: unknown) => error instanceof RegistryError && error.code === 'usage'
  assert.throws(() => planned({ port: '0' }), refused)
  assert.throws(() => planned({ port: '65534' }, 2), refused)
})

const said: [string, string, string | undefined][] = [
  ['a plain sentence', '{"level":30,"msg":"starts"}\ncairn: Port 80 is busy\n', 'Port 80 is busy'],
  [
    'the newest error of a JSON log',
    '{"level":50,"error":"old"}\n{"level":60,"error":"new"}\n{"level":30,"msg":"x"}\n',
    'new',
  ],
  ['the message above a stack', 'Error: boom\n    at foo (file:1:2)\n\nNode.js v20.20.2\n', 'Error: boom'],
  ['nothing', '{"level":30,"msg":"starts"}\n', undefined],
]
for (const [what, log, sentence] of said)
  it(`what a part said last is ${what}`, () => {
    assert.equal(lastSentence(log), sentence)
  })
