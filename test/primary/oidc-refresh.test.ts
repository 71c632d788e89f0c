/** What happens to a log-in afterwards: groups asked for anew, a provider that is away, one that ended it. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { PasswordHashes } from '../../primary/accounts/password.js'
import { PrimaryAccounts } from '../../primary/accounts.js'
import { oidc } from '../../primary/identity/oidc/provider.js'
import { seenFrom } from '../../protocol/http/request.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { CookieJar } from '../support/cookie-jar.js'
import { testIdentity } from '../support/identity.js'
import { CLIENT, type TestProvider, testProvider } from '../support/openid-provider.js'
import { type TestDatabase, testDatabase } from '../support/postgres.js'
import { requestOf } from '../support/request.js'

const REGISTRY = 'http://127.0.0.1:1'
const HOUR_MS = 3_600_000

describe('a log-in with OpenID Connect, afterwards', () => {
  let database: TestDatabase
  let corp: TestProvider
  before(async () => {
    database = await testDatabase()
    corp = await testProvider(REGISTRY)
  })
  after(async () => {
    await database.close()
    await corp.close()
  })

  it('loses the groups that the provider took away when they are asked for anew, without anybody logging in (D06)', async () => {
    const { accounts, clock, providers, sessions } = await loggedIn('s-1', ['dev', 'ops'])
    corp.people.set('s-1', { preferred_username: 'ann', groups: ['ops'] })
    await providers.tick()
    assert.deepEqual(accounts.directory.user('ann')?.groups, ['dev', 'ops'], 'not yet')
    clock.ms += HOUR_MS + 1
    await providers.tick()
    assert.deepEqual(accounts.directory.user('ann')?.groups, ['ops'])
    assert.equal(await sessions(), 1)
    corp.people.set('s-1', { preferred_username: 'ann', groups: [] })
    clock.ms += HOUR_MS + 1
    await providers.tick()
    assert.deepEqual(accounts.directory.user('ann')?.groups, [], 'with the refresh token of the time before')
  })

  it('goes on while the provider is away, and ends when that lasts too long', async () => {
    const { clock, providers, sessions, faults } = await loggedIn('s-2', [])
    await corp.stop()
    clock.ms += HOUR_MS + 1
    await providers.tick()
    clock.ms += 2 * HOUR_MS
    await providers.tick()
    assert.equal(await sessions(), 1)
    clock.ms += 22 * HOUR_MS
    await providers.tick()
    assert.equal(await sessions(), 0)
    assert.deepEqual(faults, [])
    await corp.start()
  })

  it('ends when the provider no longer knows who it was', async () => {
    const { clock, providers, sessions } = await loggedIn('s-3', [])
    corp.people.delete('s-3')
    clock.ms += HOUR_MS + 1
    await providers.tick()
    assert.equal(await sessions(), 0)
  })

  async function loggedIn(subject: string, groups: string[]) {
    await database.pool.query(
      'truncate identity, identity_provider, identity_grant, used_once, console_session, password, refresh_token',
    )
    const clock = { ms: Date.now() }
    const ledger = await MemoryLedger.open()
    const accounts = new PrimaryAccounts({
      pool: database.pool,
      ledger,
      metadata: ledger.state,
      key: Buffer.alloc(32, 7),
      hashes: new PasswordHashes(1024),
    })
    const { providers, faults } = testIdentity(database.pool, accounts, [oidc], () => clock.ms)
    await providers.create({
      key: 'corp',
      kind: 'oidc',
      title: 'Corp',
      enabled: true,
      settings: {
        issuer: corp.url,
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        scopes: ['openid', 'profile', 'groups'],
        allow_http: true,
      },
    })
    corp.people.set(subject, { preferred_username: 'ann', groups })
    const get = async (target: string, cookie = '') => {
      const request = requestOf('GET', target, { headers: { cookie } })
      const reply = await providers.handle(seenFrom(request, { origin: REGISTRY, remote: '127.0.0.1' }))
      return reply ?? assert.fail(target)
    }
    const { headers } = await get('/admin/login/corp')
    const jar = new CookieJar()
    const page = await jar.follow(headers.location ?? '')
    const submit = { method: 'POST', body: new URLSearchParams({ subject }) }
    const { url } = await jar.follow(page.url, REGISTRY, submit)
    const { pathname, search } = new URL(url)
    const reply = await get(pathname + search, headers['set-cookie']?.split(';')[0])
    assert.equal(reply.status, 303)
    const sessions = async () =>
      (await database.pool.query("select 1 from console_session where user_name = 'ann'")).rows.length
    assert.equal(await sessions(), 1)
    return { accounts, clock, providers, faults, sessions }
  }
})
