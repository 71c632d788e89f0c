/**
 * Images through what builds and runs them: buildah, podman, and docker with a daemon of the test's own. Each pushes to the primary
 * and through a node, pulls from nodes, and with the primary gone from a node that never had the image.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { type Engine, engines } from './engines.js'

const rootOnly = { skip: process.getuid?.() === 0 ? false : 'only root may keep images' }

describe('image engines', { timeout: 600_000, ...rootOnly }, () => {
  let fleet: TestFleet
  let token: string
  const present = engines()
  const host = (at: 'primary' | number) =>
    new URL((at === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[at]) ?? '').host

  before(async () => {
    fleet = await testFleet({ nodes: 2 })
    token = fleet.admin.replace('Bearer ', '')
    for (const [key, is_public] of [
      ['images', true],
      ['closed', false],
    ] as const)
      await fleet.api('POST', '/api/v1/repositories', { key, name: key, format: 'oci', repo_type: 'local', is_public })
    for (const engine of present) if (engine.only.skip === false) await engine.start(fleet.dir)
  })
  after(async () => {
    for (const engine of present) await engine.close()
    await fleet.close()
  })

  for (const engine of present) {
    describe(engine.name, engine.only, () => {
      able(engine, 'logs in with a token, and not with a wrong one', async () => {
        for (const at of ['primary', 0, 1] as const) {
          await assert.rejects(engine.login(host(at), 'wrong'), /unauthorized|invalid username\/password/)
          await engine.login(host(at), token)
        }
      })

      able(engine, 'pushes to the primary, and a node gives the same image', () =>
        travels(engine, `${host('primary')}/images`, `${host(0)}/images`),
      )

      able(engine, 'pushes through a node to a private repository, which needs credentials', async () => {
        await travels(engine, `${host(0)}/closed`, `${host(0)}/closed`)
        const image = `${host(0)}/closed/${engine.name}:v1`
        await engine.forget()
        await engine.tell('logout', host(0))
        assert.match(await engine.refused('pull', image), /unauthorized/)
      })
    })
  }

  describe('with the primary gone', () => {
    before(async () => {
      for (const { name, only, unable } of present)
        for (const key of only.skip === false && unable === undefined ? ['images', 'closed'] : [])
          await until(() => known(`${host(1)}/${key}`, name))
      await fleet.stopPrimary()
    })

    for (const engine of present)
      describe(engine.name, engine.only, () => {
        able(engine, 'pulls from node 2', async () => {
          await engine.forget()
          for (const key of ['images', 'closed']) await engine.move('pull', `${host(1)}/${key}/${engine.name}:v1`)
        })

        able(engine, 'is told that a push has to wait', async () => {
          const later = `${host(1)}/images/${engine.name}:later`
          await engine.make(later)
          assert.match(await engine.refused('push', later), /503|primary cannot be reached/i)
        })
      })
  })

  /** Pushed there, forgotten, and pulled from here, it is the same. */
  async function travels(engine: Engine, from: string, to: string): Promise<void> {
    const [there, here] = [from, to].map((at) => `${at}/${engine.name}:v1`) as [string, string]
    const id = await engine.make(there)
    await engine.move('push', there)
    await engine.forget()
    await until(() => known(to, engine.name))
    await engine.move('pull', here)
    assert.equal(await engine.id(here), id)
  }

  async function known(at: string, name: string): Promise<boolean> {
    const [host, key] = at.split('/')
    const url = `http://${host}/v2/${key}/${name}/manifests/v1`
    return (await fetch(url, { method: 'HEAD', headers: { authorization: fleet.admin } })).ok
  }
})

/** Only where its daemon, if it has one, starts. */
function able(engine: Engine, what: string, test: () => Promise<void>): void {
  it(what, (t) => (engine.unable === undefined ? test() : t.skip(engine.unable)))
}
