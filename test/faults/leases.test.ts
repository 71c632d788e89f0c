/**
 * A ship's node: npm publishes there while the primary is gone, installs there, and once the ship is back everybody installs it. With
 * real clients, a real database, and a node that is started anew in the middle.
 */
import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { missing, newHome, program, succeeds } from '../clients/client.js'
import { type TestFleet, testFleet, until } from '../support/fleet.js'

const NPM = program('npm')

describe('a node with a lease, and the fleet', { timeout: 180_000 }, () => {
  let fleet: TestFleet
  let id: string
  let publishedAt: string
  const at = (side: number | 'primary') =>
    `${side === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[side]}/repository/npm-ship/`

  before(async () => {
    fleet = await testFleet({ nodes: 2 })
    await fleet.api('POST', '/api/v1/repositories', { key: 'npm-ship', format: 'npm', is_public: true })
    const draft = { repository: 'npm-ship', node: 'node-1', names: ['@ship/*'] }
    id = ((await fleet.api('POST', '/api/v1/leases', draft)) as { id: string }).id
    await settled()
  })
  after(() => fleet.close())

  async function health(index: number) {
    return (await (await fetch(`${fleet.nodeUrls[index]}/health`)).json()) as Record<string, unknown>
  }
  async function settled() {
    const { number } = (await (await fetch(`${fleet.primaryUrl}/health`)).json()) as { number: number }
    for (const index of [0, 1]) await until(async () => Number((await health(index)).number) >= number)
  }
  async function publish(name: string, version: string, registry: string) {
    const cwd = join(fleet.dir, `${name.replace('/', '-')}-${version}`)
    await mkdir(cwd, { recursive: true })
    const manifest = { name, version, publishConfig: { access: 'public' } }
    await writeFile(join(cwd, 'package.json'), JSON.stringify(manifest))
    const token = fleet.admin.replace('Bearer ', '')
    await writeFile(join(cwd, '.npmrc'), `registry=${registry}\n${registry.replace('http:', '')}:_authToken=${token}\n`)
    await succeeds(NPM, ['publish'], { cwd, home: await newHome(fleet.dir) })
  }
  async function install(spec: string, registry: string) {
    const cwd = await newHome(fleet.dir)
    await writeFile(join(cwd, 'package.json'), '{"name":"consumer","version":"1.0.0"}')
    await succeeds(NPM, ['install', spec, '--registry', registry], { cwd, home: await newHome(fleet.dir) })
    const name = spec.slice(0, spec.lastIndexOf('@'))
    return JSON.parse(await readFile(join(cwd, 'node_modules', name, 'package.json'), 'utf8')).version
  }

  it(
    'while all is well the node publishes what is its own, and the primary and others refuse it',
    missing(NPM),
    async () => {
      await publish('@ship/log', '1.0.0', at(0))
      await until(async () => (await fetch(`${at('primary')}@ship%2flog`)).status === 200)
      // The node hears that the primary has it only after that.
      await until(async () => (await health(0)).pending === 0)
      const body = { key: 'x' }
      for (const side of ['primary', 1] as const) {
        const init = { method: 'PUT', headers: { authorization: fleet.admin }, body: JSON.stringify(body) }
        const reply = await fetch(`${at(side)}-/package/@ship%2flog/dist-tags/next`, { ...init, body: '"1.0.0"' })
        assert.equal(reply.status, 409)
        assert.match(await reply.text(), /on lease to node node-1/)
      }
    },
  )

  it('cut off it publishes and installs them, also after a restart, and nothing else', missing(NPM), async () => {
    await fleet.stopPrimary()
    await until(async () => (await health(0)).primary === 'unreachable')
    await publish('@ship/log', '1.1.0', at(0))
    await publish('@ship/chart', '1.0.0', at(0))
    assert.equal((await health(0)).pending, 2)
    await fleet.stopNode(0)
    await fleet.startNode(0)
    assert.equal((await health(0)).pending, 2)
    assert.equal(await install('@ship/log@1.1.0', at(0)), '1.1.0')
    assert.equal(await install('@ship/chart@1.0.0', at(0)), '1.0.0')
    const headers = { authorization: fleet.admin, 'content-type': 'application/json' }
    assert.equal((await fetch(`${at(0)}left`, { method: 'PUT', headers, body: '{}' })).status, 503)
    const { time } = (await (await fetch(`${at(0)}@ship%2fchart`)).json()) as { time: Record<string, string> }
    publishedAt = time['1.0.0'] ?? assert.fail()
  })

  it('when it is back everybody installs them, with their time and author', missing(NPM), async () => {
    await fleet.startPrimary()
    await until(async () => (await health(0)).pending === 0)
    await settled()
    assert.equal(await install('@ship/chart@1.0.0', at(1)), '1.0.0')
    assert.equal(await install('@ship/log@1.1.0', at('primary')), '1.1.0')
    const packument = (await (await fetch(`${at('primary')}@ship%2fchart`)).json()) as {
      time: Record<string, string>
      versions: Record<string, { _npmUser: { name: string } }>
    }
    assert.equal(packument.time['1.0.0'], publishedAt)
    assert.equal(packument.versions['1.0.0']?._npmUser.name, 'admin')
  })

  it('ended, its names open as soon as it has heard of that and reported', missing(NPM), async () => {
    await fleet.api('POST', `/api/v1/leases/${id}/end`)
    await until(
      async () => ((await fleet.api('GET', `/api/v1/leases/${id}`)) as { status: string }).status === 'closed',
    )
    await publish('@ship/log', '2.0.0', at('primary'))
    await settled()
    assert.equal(await install('@ship/log@2.0.0', at(0)), '2.0.0')
  })
})
