/** Passkeys: what an honest authenticator gets, and what is refused in one and the same sentence. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { PasswordHashes } from '../../primary/accounts/password.js'
import { PrimaryAccounts } from '../../primary/accounts.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { Authenticator, type Lies, UNVERIFIED } from '../support/authenticator.js'
import { type TestDatabase, testDatabase } from '../support/postgres.js'
import { requestOf } from '../support/request.js'

const START = Date.parse('2026-01-01T00:00:00Z')
const PASSWORD = 'correct horse'
const SITE = 'https://cairn.example'
const REFUSED = { kind: 'unauthenticated', code: 'passkey_refused', message: 'The passkey was not accepted' }

let database: TestDatabase
before(async () => {
  database = await testDatabase()
})
after(() => database.close())

describe('a passkey', () => {
  it('logs its owner in without a password, again and again, and is listed with its last use', async () => {
    const { accounts, clock, passkeyOf, enter } = await world()
    const key = await passkeyOf('ann', 'of the laptop')
    await passkeyOf('ann', 'of the phone')
    for (let i = 0; i < 2; i++, clock.ms += 1000) assert.equal(await enter(key), 'ann')
    assert.deepEqual((await accounts.passkeys.list('ann')).map(({ name, usedAt }) => [name, usedAt]).sort(), [
      ['of the laptop', '2026-01-01T00:00:01.000Z'],
      ['of the phone', undefined],
    ])
  })

  it('is taken with an honest answer only, once, to what was asked lately', async () => {
    const { accounts, clock, passkeyOf, enter, request } = await world()
    const [key, other] = [await passkeyOf('ann'), await passkeyOf('bob')]
    const foreign = await accounts.passkeys.beginNew(accounts.directory.user('ann') ?? assert.fail(), SITE)
    const lies: Lies[] = [
      { origin: 'https://evil.example' },
      { origin: 'http://cairn.example' },
      { site: 'evil.example' },
      { type: 'webauthn.create' },
      { challenge: Buffer.alloc(41, 1).toString('base64url') },
      { challenge: '' },
      { challenge: (foreign as { challenge: string }).challenge },
      { id: other.id },
      { id: other.id, handle: other.handle },
      { id: 'AAAA' },
      { handle: other.handle },
      { handle: '' },
      { flags: UNVERIFIED },
      { flags: 0 },
      { signature: Buffer.alloc(70, 1) },
    ]
    for (const lie of lies) await assert.rejects(enter(key, lie), REFUSED, JSON.stringify(lie))

    const options = await accounts.passkeys.begin(SITE)
    const answer = key.use(options)
    const tried = await Promise.allSettled([1, 2, 3].map(() => accounts.passkeys.enter(request(), answer, '/')))
    assert.equal(tried.filter(({ status }) => status === 'fulfilled').length, 1, 'one answer counts once')

    const late = key.use(await accounts.passkeys.begin(SITE))
    clock.ms += 5 * 60_000
    await assert.rejects(accounts.passkeys.enter(request(), late, '/'), REFUSED)
    for (const broken of [
      '',
      '{}',
      'null',
      '[1]',
      '{"id":"AAAA","response":{"clientDataJSON":"AAAA"}}',
      `{"id":"${key.id}"}`,
      'x'.repeat(20_000),
    ])
      await assert.rejects(accounts.passkeys.enter(request(), broken, '/'), REFUSED, broken.slice(0, 40))
    assert.equal(await enter(key), 'ann')
  })

  it('that was copied is refused once the copy is behind', async () => {
    const { passkeyOf, enter } = await world()
    const key = await passkeyOf('ann', 'key', new Authenticator(SITE), 5)
    assert.equal(await enter(key), 'ann')
    for (const counter of [key.counter, key.counter - 1, 0])
      await assert.rejects(enter(key, { counter }), { ...REFUSED, code: 'passkey_copied' })
    assert.equal(await enter(key, { counter: key.counter + 10 }), 'ann')
  })

  it('is made only with an honest answer, by whom it was asked from, and with an id that nobody has', async () => {
    const { accounts, clock, passkeyOf } = await world()
    const ann = accounts.directory.user('ann') ?? assert.fail()
    const bob = accounts.directory.user('bob') ?? assert.fail()
    const taken = await passkeyOf('bob')
    const begin = () => accounts.passkeys.beginNew(ann, SITE)
    const add = (answer: string, user = ann) => accounts.passkeys.add(user, SITE, answer, 'key')
    const lies: Lies[] = [
      { origin: 'https://evil.example' },
      { site: 'evil.example' },
      { type: 'webauthn.get' },
      { challenge: Buffer.alloc(41, 1).toString('base64url') },
      { challenge: ((await accounts.passkeys.begin(SITE)) as { challenge: string }).challenge },
      { flags: UNVERIFIED },
      { id: taken.id },
    ]
    for (const lie of lies)
      await assert.rejects(add(new Authenticator(SITE).make(await begin(), lie)), REFUSED, JSON.stringify(lie))
    await assert.rejects(add(new Authenticator(SITE).make(await begin()), bob), REFUSED)
    const answer = new Authenticator(SITE).make(await begin())
    await add(answer)
    await assert.rejects(add(answer), REFUSED)
    const late = new Authenticator(SITE).make(await begin())
    clock.ms += 5 * 60_000
    await assert.rejects(add(late), REFUSED)
    assert.equal((await accounts.passkeys.list('ann')).length, 1)
  })

  it('stands beside few others', async () => {
    const { passkeyOf } = await world()
    for (let i = 0; i < 20; i++) await passkeyOf('ann')
    await assert.rejects(passkeyOf('ann'), { kind: 'conflict' })
  })

  it('needs https or this machine, and a name', async () => {
    const { accounts } = await world()
    for (const origin of [
      'http://cairn.example',
      'https://192.0.2.1',
      'https://[2001:db8::1]:8443',
      'http://127.0.0.1:8080',
    ])
      await assert.rejects(async () => accounts.passkeys.begin(origin), { kind: 'invalid', code: 'insecure' }, origin)
    assert.equal(((await accounts.passkeys.begin('http://localhost:8080')) as { rpId: string }).rpId, 'localhost')
  })

  it('makes the password alone too little; a recovery code or an authenticator stands in', async () => {
    const { accounts, request, passkeyOf, codes } = await world()
    assert.ok(await accounts.signIn('ann', PASSWORD))
    const key = await passkeyOf('ann')
    assert.equal(codes.length, 10, 'shown with the first')
    await passkeyOf('ann')
    assert.equal(codes.length, 10, 'not with the second')
    await assert.rejects(accounts.signIn('ann', PASSWORD), { code: 'second_factor_needed' })
    await assert.rejects(accounts.verify('ann', PASSWORD), { code: 'token_needed' })
    assert.ok('ticket' in (await accounts.enter('ann', PASSWORD, request(), '/')))
    assert.ok(await accounts.signIn('ann', PASSWORD, undefined, codes[0]))
    for (const { id } of await accounts.passkeys.list('ann'))
      assert.equal(await accounts.passkeys.remove('ann', id), true)
    assert.equal(await accounts.passkeys.remove('ann', key.id), false)
    assert.ok(await accounts.signIn('ann', PASSWORD))
    const { rows } = await database.pool.query('select 1 from recovery_code')
    assert.equal(rows.length, 0, 'they went with the last')
  })

  it('takes the sessions that it opened along when it goes, and no others', async () => {
    const { accounts, passkeyOf, enter } = await world()
    const [one, two] = [await passkeyOf('ann'), await passkeyOf('ann')]
    for (const key of [one, one, two]) await enter(key)
    assert.equal(await accounts.passkeys.remove('bob', one.id), false, "somebody else's stays")
    await accounts.passkeys.remove('ann', one.id)
    assert.equal((await accounts.console.list('ann')).length, 1)
    await assert.rejects(enter(one), REFUSED)
  })

  it('of who is disabled, was removed, or has the password elsewhere lets nobody in', async () => {
    const { accounts, clock, passkeyOf, enter } = await world()
    const key = await passkeyOf('ann')
    await accounts.users.update('ann', { disabled: true }, 'test')
    await assert.rejects(enter(key), { kind: 'unauthenticated' })
    await accounts.users.update('ann', { disabled: false }, 'test')
    assert.equal(await enter(key), 'ann')
    const { rows } = await database.pool.query('select * from passkey')

    await accounts.users.remove('ann', 'test')
    await assert.rejects(enter(key), REFUSED)
    assert.equal((await database.pool.query('select 1 from passkey')).rows.length, 0)
    clock.ms += 1000
    await accounts.users.create({ name: 'ann', password: PASSWORD }, 'test')
    const { id, public_key } = rows[0]
    await database.pool.query('insert into passkey values ($1, $2, $3, 0, $4, now())', [id, 'ann', public_key, 'left'])
    await assert.rejects(enter(key), REFUSED, 'it was of another ann')

    const elsewhere = await passkeyOf('bob')
    await database.pool.query("delete from password where user_name = 'bob'")
    await assert.rejects(enter(elsewhere), REFUSED)
    await assert.rejects(passkeyOf('bob'), { kind: 'forbidden' })
  })

  it('is made and removed soon after logging in only', async () => {
    const { accounts, clock, passkeyOf, visitor } = await world()
    const ann = await visitor(await passkeyOf('ann'))
    await accounts.console.demandFresh(ann)
    clock.ms += 10 * 60_000
    await assert.rejects(accounts.console.demandFresh(ann), { kind: 'forbidden', code: 'session_old' })
  })
})

async function world() {
  await database.pool.query('truncate password, refresh_token, totp, recovery_code, passkey, console_session')
  const clock = { ms: START }
  const ledger = await MemoryLedger.open(() => new Date(clock.ms).toISOString())
  const accounts = new PrimaryAccounts({
    pool: database.pool,
    ledger,
    metadata: ledger.state,
    key: Buffer.alloc(32, 7),
    hashes: new PasswordHashes(1024),
    nowMs: () => clock.ms,
  })
  for (const name of ['ann', 'bob']) await accounts.users.create({ name, password: PASSWORD }, 'test')
  const request = (headers = {}) => ({ ...requestOf('POST', '/admin/passkey', { headers }), origin: SITE })
  const codes: string[] = []
  const passkeyOf = async (name: string, title = 'key', key = new Authenticator(SITE), counter = 0) => {
    const user = accounts.directory.user(name) ?? assert.fail()
    key.counter = counter
    const answer = key.make(await accounts.passkeys.beginNew(user, SITE))
    codes.push(...((await accounts.passkeys.add(user, SITE, answer, title)) ?? []))
    return key
  }
  const visitor = async (key: Authenticator, lies: Lies = {}) => {
    const reply = await accounts.passkeys.enter(request(), key.use(await accounts.passkeys.begin(SITE), lies), '/')
    const cookie = reply.headers['set-cookie']?.split(';', 1)[0] ?? ''
    return (await accounts.console.find(request({ cookie }), true)) ?? assert.fail('no session')
  }
  const enter = async (key: Authenticator, lies: Lies = {}) => (await visitor(key, lies)).principal.name
  return { accounts, clock, request, codes, passkeyOf, visitor, enter }
}
