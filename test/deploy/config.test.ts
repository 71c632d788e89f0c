/** The table of settings and where their values come from. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { configRows } from '../../deploy/commands/config.js'
import { nearest } from '../../deploy/config/nearest.js'
import { fleetPortOf, nodeSettings, primarySettings } from '../../deploy/config/parts.js'
import { parseConfigFile, resolveSettings, type Sources } from '../../deploy/config/resolve.js'
import { KEYS, optionOf, type Part, variableOf } from '../../deploy/config/table.js'
import { RegistryError } from '../../protocol/errors.js'

const resolve = (part: Part, sources: Partial<Sources> = {}) =>
  resolveSettings(part, { options: {}, environment: {}, file: undefined, folder: '/srv', ...sources })

const refused = (pattern: RegExp) => (error: unknown) =>
  error instanceof RegistryError && error.kind === 'invalid' && pattern.test(error.message)

describe('settings', () => {
  it('the command line wins over the environment, that over the file, and that over the default', () => {
    const file = { path: '/etc/cairn/cairn.json', values: { port: '3', host: '10.0.0.3', restoreDays: '7' } }
    const environment = { CAIRN_PORT: '2', CAIRN_HOST: '10.0.0.2' }
    const { values, origins } = resolve('primary', { options: { port: '1' }, environment, file })
    assert.deepEqual([values.port, values.host, values.restoreDays, values.anonymous], [1, '10.0.0.2', 7, true])
    assert.deepEqual(
      [origins.port.source, origins.host.source, origins.restoreDays.source, origins.anonymous.source],
      ['command line', 'environment', '/etc/cairn/cairn.json', 'default'],
    )
  })

  it('a directory is relative to the working directory, or to the file that names it', () => {
    assert.equal(resolve('up').values.data, '/srv/data')
    const file = { path: '/etc/cairn/cairn.json', values: { data: 'store' } }
    assert.equal(resolve('up', { file }).values.data, '/etc/cairn/store')
  })

  it('each part has its own defaults', () => {
    assert.deepEqual(
      (['up', 'primary', 'node'] as const).map((part) => resolve(part).values.port),
      [8080, 8080, 8081],
    )
  })

  it('a misspelt variable is refused with the one that was meant', () => {
    assert.throws(
      () => resolve('node', { environment: { CAIRN_CACHE_BYTE: '1GiB' } }),
      refused(/CAIRN_CACHE_BYTE .*did you mean CAIRN_CACHE_BYTES\?/),
    )
  })

  it('the proxy of other programs is taken where none is named here, and one that cannot be used is not', () => {
    const named = (environment: Record<string, string>) => resolve('primary', { environment }).values.upstreamProxy
    assert.equal(named({ HTTPS_PROXY: 'http://other:1' }), 'http://other:1/')
    assert.equal(named({ HTTPS_PROXY: 'http://other:1', CAIRN_UPSTREAM_PROXY: 'http://own:2' }), 'http://own:2/')
    assert.equal(named({ HTTPS_PROXY: 'socks5://other:1', http_proxy: 'http://third:3' }), 'http://third:3/')
    const { values, origins } = resolve('primary', { environment: { NO_PROXY: 'localhost, .example 10.0.0.0/8' } })
    assert.deepEqual(values.upstreamNoProxy, ['localhost', '.example', '10.0.0.0/8'])
    assert.equal(origins.upstreamNoProxy.source, 'NO_PROXY')
  })

  it('a proxy’s password is never listed', () => {
    const rows = configRows(resolve('primary', { environment: { CAIRN_UPSTREAM_PROXY: 'http://a:canary@p:1' } }))
    assert.doesNotMatch(JSON.stringify(rows), /canary/)
  })

  it('a misspelt key of the file is refused with the one that was meant', () => {
    const file = { path: '/c.json', values: { logLvel: 'info' } }
    assert.throws(() => resolve('node', { file }), refused(/"logLvel" \(\/c\.json\); did you mean logLevel\?/))
  })

  it('what an orchestrator sets for a service named cairn is not taken for a setting', () => {
    const environment = {
      CAIRN_PORT: 'tcp://10.0.0.1:8080',
      CAIRN_SERVICE_HOST: '10.0.0.1',
      CAIRN_SERVICE_PORT: '8080',
      CAIRN_PORT_8080_TCP: 'tcp://10.0.0.1:8080',
      CAIRN_PORT_8080_TCP_ADDR: '10.0.0.1',
      CAIRN_TEST_DATABASE: 'x',
    }
    assert.equal(resolve('primary', { environment }).values.port, 8080)
  })

  it('a bad value is named with its source, and a secret one is not repeated', () => {
    assert.throws(
      () => resolve('up', { environment: { CAIRN_PORT: '99999' } }),
      refused(/^CAIRN_PORT must be a port .* not "99999"$/),
    )
    assert.throws(
      () => resolve('up', { options: { cacheBytes: 'lots' } }),
      refused(/^--cache-bytes must be a size .* not "lots"$/),
    )
    const short = { CAIRN_ADMIN_PASSWORD: 'hunter2' }
    assert.throws(
      () => resolve('up', { environment: short }),
      (error: unknown) => {
        assert.ok(error instanceof RegistryError)
        return /CAIRN_ADMIN_PASSWORD must be/.test(error.message) && !error.message.includes('hunter2')
      },
    )
  })

  it('secrets are masked in what `cairn config` shows', () => {
    const environment = {
      CAIRN_DATABASE_URL: 'postgres://u:very-secret@h/d',
      CAIRN_ADMIN_PASSWORD: 'very-secret',
      CAIRN_TOKEN: 'very-secret',
    }
    const rows = configRows(resolve('up', { environment }))
    assert.doesNotMatch(JSON.stringify(rows), /very-secret/)
    assert.equal(rows.find(({ name }) => name === 'CAIRN_DATABASE_URL')?.value, '********')
    assert.equal(rows.length, KEYS.length)
  })

  it('names of variables and options follow from the key', () => {
    assert.equal(variableOf('reverifySeconds'), 'CAIRN_REVERIFY_SECONDS')
    assert.equal(optionOf('reverifySeconds'), '--reverify-seconds')
  })
})

describe('kinds of values', () => {
  const byKind: [string, string, unknown][] = [
    ['cacheBytes', '10GiB', 10 * 1024 ** 3],
    ['cacheBytes', '1.5 gb', 1_500_000_000],
    ['cacheBytes', '4096', 4096],
    ['cacheBytes', '10 parsecs', undefined],
    ['cacheBytes', '-1', undefined],
    ['uploadRate', '12MB', { general: 12_000_000, windows: [] }],
    [
      'linkRate',
      '1MB, 22:00-06:00=8MB',
      { general: 1_000_000, windows: [{ from: '22:00', to: '06:00', bytesPerSecond: 8_000_000 }] },
    ],
    ['uploadRate', '12MB,8-18=2MB', undefined],
    ['uploadRate', '0', undefined],
    ['cacheBytes', '99999999TiB', undefined],
    ['port', '0', 0],
    ['port', '65536', undefined],
    ['port', '80 80', undefined],
    ['anonymous', 'off', false],
    ['anonymous', 'maybe', undefined],
    ['logLevel', 'WARN', 'warn'],
    ['logLevel', 'loud', undefined],
    ['publicUrls', 'https://a.example/, http://b.example:81', ['https://a.example', 'http://b.example:81']],
    ['publicUrls', 'https://a.example/path', undefined],
    ['publicUrls', 'ftp://a.example', undefined],
    ['trustedProxies', '10.0.0.0/8,::1', ['10.0.0.0/8', '::1']],
    ['trustedProxies', '10.0.0.0/33', undefined],
    ['trustedProxies', 'everyone', undefined],
    ['databaseUrl', 'postgres://u:p@h:5432/d', 'postgres://u:p@h:5432/d'],
    ['databaseUrl', 'mysql://h/d', undefined],
    ['meshHost', '::1', undefined],
    ['host', '::', '::'],
    ['host', 'bad host', undefined],
    ['adminPassword', '        ', undefined],
  ]
  for (const [key, text, expected] of byKind)
    it(`${key} ${expected === undefined ? 'refuses' : 'takes'} "${text}"`, () => {
      const taken = () => Reflect.get(resolve('up', { options: { [key]: text } }).values, key)
      if (expected === undefined) assert.throws(taken, refused(/must be/))
      else assert.deepEqual(taken(), expected)
    })
})

describe('the configuration file', () => {
  it('takes strings, numbers, booleans and lists', () => {
    const text = '{"port": 9000, "anonymous": false, "publicUrls": ["https://a.example", "https://b.example"]}'
    const values = parseConfigFile(text, '/c.json')
    assert.deepEqual(values, { port: '9000', anonymous: 'false', publicUrls: 'https://a.example,https://b.example' })
  })

  for (const [what, text] of [
    ['no JSON', 'port: 1'],
    ['a list', '[]'],
    ['a nested object', '{"port": {}}'],
    ['a null', '{"port": null}'],
  ] as const)
    it(`refuses ${what}`, () => {
      assert.throws(() => parseConfigFile(text, '/c.json'), refused(/\/c\.json/))
    })
})

describe('what a main is started with', () => {
  it('the TLS port is 1000 above the HTTP port, where there is room', () => {
    assert.deepEqual([8080, 0, 65_000].map(fleetPortOf), [9080, 0, 64_000])
    const { values } = resolve('primary', { options: { port: '7000' } })
    assert.equal(primarySettings(values).fleetPort, 8000)
    assert.equal(primarySettings({ ...values, fleetPort: 1 }).fleetPort, 1)
  })

  it('the mesh listens where HTTP does, and looks for neighbours only when they could answer', () => {
    const at = (host: string) => {
      const { meshHost, mdns } = nodeSettings(resolve('node', { options: { host } }).values)
      return [meshHost, mdns]
    }
    assert.deepEqual(['127.0.0.1', 'localhost', '10.1.2.3', '::'].map(at), [
      ['127.0.0.1', false],
      ['127.0.0.1', false],
      ['10.1.2.3', true],
      ['0.0.0.0', true],
    ])
  })
})

it('the nearest word is one that could have been meant', () => {
  assert.equal(nearest('staus', ['status', 'list']), 'status')
  assert.equal(nearest('elephant', ['status', 'list']), undefined)
})
