/** Signing on at forges that speak OAuth 2, each as its documents say it answers. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { PasswordHashes } from '../../primary/accounts/password.js'
import { PrimaryAccounts } from '../../primary/accounts.js'
import { oauth2 } from '../../primary/identity/oauth2/provider.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Reply } from '../../protocol/http/reply.js'
import { seenFrom } from '../../protocol/http/request.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { testIdentity } from '../support/identity.js'
import { type TestIssuer, testIssuer } from '../support/issuer.js'
import { type TestDatabase, testDatabase } from '../support/postgres.js'
import { requestOf } from '../support/request.js'

const REGISTRY = 'http://127.0.0.1:1'

describe('signing on at a forge', () => {
  let database: TestDatabase
  let forge: TestIssuer
  let world: Awaited<ReturnType<typeof build>>
  before(async () => {
    database = await testDatabase()
    forge = await testIssuer()
    world = await build()
  })
  after(async () => {
    await world.close()
    await database.close()
    await forge.close()
  })

  const build = async () => {
    const ledger = await MemoryLedger.open()
    const hashes = new PasswordHashes(1024)
    const accounts = new PrimaryAccounts({
      pool: database.pool,
      ledger,
      metadata: ledger.state,
      key: Buffer.alloc(32, 7),
      hashes,
    })
    const identity = testIdentity(database.pool, accounts, [oauth2])
    const create = (key: string, preset: string) =>
      identity.providers.create({
        key,
        kind: 'oauth2',
        title: key,
        enabled: true,
        settings: { preset, url: forge.url, client_id: 'cairn', client_secret: 'hidden', allow_http: true },
      })
    const get = async (target: string, cookie = ''): Promise<Reply> => {
      const request = seenFrom(requestOf('GET', target, { headers: { cookie } }), {
        origin: REGISTRY,
        remote: '127.0.0.1',
      })
      return (await identity.providers.handle(request)) ?? assert.fail(target)
    }
    const login = async (key: string, more: Record<string, string> = {}) => {
      const { headers } = await get(`/admin/login/${key}`)
      const asked = new URL(headers.location ?? '').searchParams
      assert.equal(asked.get('redirect_uri'), `${REGISTRY}/admin/login/${key}/callback`)
      const query = new URLSearchParams({ code: 'c', state: asked.get('state') ?? '', ...more })
      return get(`/admin/login/${key}/callback?${query}`, headers['set-cookie']?.split(';')[0])
    }
    return { ...identity, accounts, create, login }
  }
  const answer = (path: string, json: unknown) => forge.answers.set(path, { json })

  it('reads who somebody is, and of which organisations and teams, from GitHub', async () => {
    await assert.rejects(world.create('broken', 'github'), { kind: 'invalid', message: /does not answer as github/ })
    forge.answers.set('/api/v3/user', { status: 401 })
    await world.create('hub', 'github')
    answer('/login/oauth/access_token', { access_token: 't', token_type: 'bearer', scope: 'read:user' })
    answer('/api/v3/user', { id: 12, login: 'Ann' })
    answer('/api/v3/user/emails', [
      { email: 'old@corp.test', primary: false, verified: true },
      { email: 'ann@corp.test', primary: true, verified: true },
    ])
    answer('/api/v3/user/orgs', [{ login: 'acme' }])
    answer('/api/v3/user/teams', [{ slug: 'release', organization: { login: 'acme' } }])
    assert.equal((await world.login('hub', { iss: 'https://hub.test/login/oauth' })).status, 303)
    const { email, groups } = world.accounts.directory.user('ann') ?? assert.fail()
    assert.deepEqual([email, groups], ['ann@corp.test', ['acme', 'acme/release']])
  })

  it('knows people by their number: a name that somebody else has taken is not theirs', async () => {
    answer('/api/v3/user', { id: 13, login: 'ann' })
    await assert.rejects(world.login('hub'), { kind: 'forbidden', code: 'name_taken' })
    answer('/api/v3/user', { id: 12, login: 'renamed' })
    assert.equal((await world.login('hub')).status, 303)
    assert.equal(world.accounts.directory.user('renamed'), undefined)
  })

  it('reads the same from GitLab', async () => {
    await world.create('lab', 'gitlab').catch(() => undefined)
    forge.answers.set('/api/v4/user', { status: 401 })
    await world.create('lab', 'gitlab')
    answer('/oauth/token', { access_token: 't', token_type: 'Bearer' })
    answer('/api/v4/user', { id: 12, username: 'bob', email: 'bob@corp.test', confirmed_at: '2026-01-01T00:00:00Z' })
    answer('/api/v4/groups', [{ full_path: 'acme/tools' }])
    assert.equal((await world.login('lab')).status, 303)
    assert.deepEqual(world.accounts.directory.user('bob')?.groups, ['acme/tools'])
  })

  it('believes no answer that is another one, or has no end, and says no secret', async () => {
    const said = async () => {
      const error = await world.login('lab').then(
        () => assert.fail(),
        (thrown: unknown) => thrown,
      )
      assert.ok(error instanceof RegistryError)
      assert.doesNotMatch(JSON.stringify([error.message, String(error.cause)]), /hidden/)
      return error.kind
    }
    answer('/api/v4/user', { id: 'twelve', username: 'bob' })
    assert.equal(await said(), 'upstream')
    answer('/api/v4/user', { id: 12, username: 'bob' })
    answer('/api/v4/groups', Array(100).fill({ full_path: 'x' }))
    assert.equal(await said(), 'forbidden')
    forge.answers.set('/oauth/token', { status: 400, json: { error: 'invalid_grant' } })
    assert.equal(await said(), 'invalid')
    forge.answers.set('/oauth/token', { status: 302, headers: { location: 'http://169.254.169.254/' } })
    assert.equal(await said(), 'invalid')
  })
})
