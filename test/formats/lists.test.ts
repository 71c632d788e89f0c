import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Digest, Step } from '../../protocol/records.js'
import { grant, MemoryFleet } from '../support/memory-fleet.js'

const NAMES = ['alpha', 'beta', 'gamma', 'omega']

describe('lists of a repository', () => {
  let fleet: MemoryFleet
  before(async () => {
    fleet = await MemoryFleet.open()
    for (const [key, format] of [
      ['images', 'oci'],
      ['wheels', 'pypi'],
      ['files', 'generic'],
    ] as const) {
      await fleet.repository(key, format, { public: false })
      await fleet.ledger.commit({ scope: `scope-of-${key}`, steps: NAMES.map(publish), by: 'test' })
      await fleet.configure([
        grant('bob', key, { path: 'beta', actions: ['read'] }),
        { ...grant('bob', key, { path: 'omega', actions: ['read'] }) },
      ])
    }
  })
  after(() => fleet.close())

  const rows: [string, (reply: Response) => Promise<unknown>, (names: string[]) => unknown][] = [
    ['/v2/images/_catalog', json, (repositories) => ({ repositories })],
    ['/v2/_catalog', json, (names) => ({ repositories: names.map((name) => `images/${name}`) })],
    [
      '/repository/wheels/simple/',
      async (reply) => ((await reply.json()) as { projects: { name: string }[] }).projects.map(({ name }) => name),
      (names) => names,
    ],
  ]
  const accept = 'application/vnd.pypi.simple.v1+json, application/json;q=0.5'
  for (const [path, read, expected] of rows) {
    it(`${path} has what one may read and no more`, async () => {
      for (const side of ['primary', 'node'] as const) {
        for (const [who, names] of [
          ['ann', NAMES],
          ['bob', ['beta', 'omega']],
        ] as const) {
          const client = fleet.client(side, `Bearer ${await fleet.token(who)}`)
          const reply = await client(path, { headers: { accept } })
          assert.equal(reply.status, 200, `${who} at the ${side}`)
          assert.deepEqual(await read(reply), expected([...names]), `${who} at the ${side}`)
        }
      }
    })
  }

  it('look as if they were not there to who may read nothing', async () => {
    await fleet.configure([
      { kind: 'access', subject: 'user', id: 'carl', record: { ...bob(), id: 'carl', name: 'carl' } },
    ])
    const client = fleet.client('primary', `Bearer ${await fleet.token('carl')}`)
    for (const path of ['/v2/images/_catalog', '/repository/wheels/simple/', '/repository/files/?format=json'])
      assert.equal((await client(path, { headers: { accept } })).status, 404, path)
    const all = await client('/v2/_catalog')
    assert.deepEqual(await all.json(), { repositories: [] })
  })

  it('and everything else of a repository that may not be seen is as of one that was never there', async () => {
    const client = fleet.client('primary', `Bearer ${await fleet.token('carl')}`)
    const of = async (path: string, key: string, method = 'GET') => {
      const reply = await client(path.replace('KEY', key), { method, headers: { accept } })
      const headers = [...reply.headers].filter(([name]) => name !== 'date')
      return [reply.status, headers, (await reply.text()).replaceAll(key, 'KEY').replace(/test-\d+/, '')]
    }
    for (const key of ['images', 'wheels', 'files'])
      for (const [path, method] of [
        ['/repository/KEY/beta/file', 'GET'],
        ['/repository/KEY/beta/file', 'HEAD'],
        ['/repository/KEY/beta/file', 'PUT'],
        ['/repository/KEY/beta/file', 'DELETE'],
        ['/v2/KEY/beta/manifests/1', 'GET'],
        ['/v2/KEY/beta/blobs/uploads/', 'POST'],
        ['/pypi/KEY/simple/beta/', 'GET'],
        ['/artifactory/KEY/beta/file', 'GET'],
      ] as const)
        assert.deepEqual(await of(path, key, method), await of(path, 'absent', method), `${method} ${path} of ${key}`)
  })

  function bob() {
    return fleet.ledger.state.access('user', 'bob') ?? assert.fail()
  }
})

async function json(reply: Response): Promise<unknown> {
  return reply.json()
}

function publish(name: string): Step {
  const digest = Buffer.from(name).toString('hex').padEnd(64, '0') as Digest
  const file = { path: `${name}/file`, digest, size: 1, root: digest, hashes: {} }
  return {
    kind: 'publish',
    manifest: { package: name, version: '1', files: [file], meta: '{}', publishedAt: '2026-01-01T00:00:00.000Z' },
  }
}
