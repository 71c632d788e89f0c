import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import { Audit, type Recorded } from '../../primary/accounts/audit.js'
import { BreachedPasswords } from '../../primary/accounts/breached.js'
import { ChainCheck, type Exported } from '../../primary/accounts/chain.js'
import { checkNewPassword, PasswordHashes } from '../../primary/accounts/password.js'
import { Throttle } from '../../primary/accounts/throttle.js'
import { PrimaryAccounts } from '../../primary/accounts.js'
import { Gate } from '../../protocol/access/gate.js'
import { RegistryError } from '../../protocol/errors.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import type { Principal } from '../../protocol/ports.js'
import type { SecondFactorDemand } from '../../protocol/settings.js'
import { type TestDatabase, testDatabase } from '../support/postgres.js'
import { requestOf } from '../support/request.js'

const START = Date.parse('2026-01-01T00:00:00Z')
const PASSWORD = 'correct horse'
const KEY = Buffer.alloc(32, 7)

let database: TestDatabase
before(async () => {
  database = await testDatabase()
})
after(() => database.close())

describe('password hashes', () => {
  const hashes = new PasswordHashes()

  it('carry their parameters, differ each time, and match their password only', async () => {
    const [one, two] = [await hashes.hash(PASSWORD), await hashes.hash(PASSWORD)]
    assert.match(one, /^scrypt\$32768\$8\$1\$[\w-]{22}\$[\w-]{43}$/)
    assert.notEqual(one, two)
    assert.equal(await hashes.matches(one, PASSWORD), true)
    assert.equal(await hashes.matches(one, `${PASSWORD} `), false)
  })

  it('are the same for the two spellings of one character', async () => {
    assert.equal(await hashes.matches(await hashes.hash('pa\u0308ssword'), 'p\u00e4ssword'), true)
  })

  it('of nobody match nothing, after the same work', async () => {
    const cheaper = new PasswordHashes(8192)
    const stored = await cheaper.hash(PASSWORD)
    const time = async (work: () => Promise<unknown>) => {
      const times: number[] = []
      for (let i = 0; i < 5; i++) {
        const start = performance.now()
        await work()
        times.push(performance.now() - start)
      }
      return times.sort((a, b) => a - b)[2] ?? 0
    }
    assert.equal(await cheaper.matches(undefined, PASSWORD), false)
    const known = await time(() => cheaper.matches(stored, 'wrong one'))
    const unknown = await time(() => cheaper.matches(undefined, 'wrong one'))
    assert.ok(unknown > known / 3 && unknown < known * 3, `${unknown} ms beside ${known} ms`)
  })

  it('are made a few at a time, and refused when too many wait', async () => {
    const cheaper = new PasswordHashes(1024)
    const tried = await Promise.allSettled(Array.from({ length: 80 }, () => cheaper.matches(undefined, 'x')))
    const refused = tried.filter((one) => one.status === 'rejected')
    assert.equal(refused.length, 80 - 65)
    assert.ok(refused.every((one) => one.reason instanceof RegistryError && one.reason.kind === 'throttled'))
    assert.equal(await cheaper.matches(undefined, 'x'), false, 'and goes on afterwards')
  })

  for (const bad of [
    '',
    'short',
    ' '.repeat(10),
    'cairn_abcdefgh',
    'nul\0nul\0nul',
    'x'.repeat(257),
    'somebody-long',
    'Password',
    '1qaz2wsx',
  ])
    it(`${JSON.stringify(bad.slice(0, 20))} must not become a password`, () => {
      assert.throws(() => checkNewPassword('somebody-long', bad, new BreachedPasswords()), {
        kind: 'invalid',
        code: 'password_refused',
      })
    })
})

describe('passwords of breaches', () => {
  it('are those that are built in and those of a file, whatever their case', async () => {
    const path = join(tmpdir(), `passwords-${process.pid}`)
    await writeFile(path, 'Our Company 2026\r\n\nanother one of ours\n')
    const list = await BreachedPasswords.with(path)
    await rm(path)
    for (const known of ['TRUSTNO1', 'our company 2026', 'another one of ours']) assert.ok(list.has(known), known)
    assert.equal(list.has('correct horse battery staple'), false)
    await assert.rejects(BreachedPasswords.with(path), { kind: 'invalid' })
  })
})

describe('a second factor', () => {
  const code = (secret: string, ms: number) => TOTP.generate({ secret: Secret.fromBase32(secret), timestamp: ms })
  const enrolled = async (demand?: SecondFactorDemand) => {
    const made = await world(demand)
    await made.accounts.users.create({ name: 'ann', password: PASSWORD }, 'test')
    const { secret } = await made.accounts.steps.factor.begin('ann')
    const user = () => made.ledger.state.access('user', 'ann') ?? assert.fail()
    const codes = await made.accounts.enrol(user(), code(secret, START), 'home')
    made.clock.ms += 60_000
    return { ...made, secret, codes, user, now: () => code(secret, made.clock.ms) }
  }

  it('is in force only after a code was shown, and then a password alone opens nothing', async () => {
    const { accounts, ledger, gate } = await world()
    await accounts.users.create({ name: 'ann', password: PASSWORD }, 'test')
    const basic = `Basic ${Buffer.from(`ann:${PASSWORD}`).toString('base64')}`
    const { secret } = await accounts.steps.factor.begin('ann')
    assert.ok(await accounts.signIn('ann', PASSWORD))
    assert.equal((await gate.authenticate(basic)).name, 'ann')
    const user = ledger.state.access('user', 'ann') ?? assert.fail()
    await assert.rejects(accounts.enrol(user, '000000', 'home'), { code: 'code_wrong' })
    await accounts.enrol(user, code(secret, START), 'home')
    await assert.rejects(accounts.signIn('ann', PASSWORD), { kind: 'unauthenticated', code: 'second_factor_needed' })
    await assert.rejects(accounts.login('ann', PASSWORD, 'npm'), { code: 'second_factor_needed' })
    await assert.rejects(async () => gate.authenticate(basic), { kind: 'forbidden', code: 'token_needed' })
  })

  it('takes one code once, also of twenty at the same moment', async () => {
    const { accounts, clock, now } = await enrolled()
    const tried = await Promise.allSettled(Array.from({ length: 20 }, () => accounts.steps.factor.use('ann', now())))
    assert.equal(tried.filter((one) => one.status === 'fulfilled' && one.value).length, 1)
    assert.equal(await accounts.steps.factor.use('ann', now()), false)
    clock.ms += 30_000
    assert.ok(await accounts.signIn('ann', PASSWORD, 'home', now()))
    await assert.rejects(accounts.signIn('ann', PASSWORD, 'home', now()), { code: 'code_wrong' })
  })

  it('takes each recovery code once, however it is typed', async () => {
    const { accounts, codes } = await enrolled()
    assert.equal(new Set(codes).size, 10)
    const [one = '', two = ''] = codes
    assert.match(one, /^([a-z2-7]{4}-){3}[a-z2-7]{4}$/)
    assert.ok(await accounts.signIn('ann', PASSWORD, 'home', one))
    await assert.rejects(accounts.signIn('ann', PASSWORD, 'home', one), { code: 'code_wrong' })
    const tried = await Promise.all(
      Array.from({ length: 5 }, () => accounts.steps.factor.use('ann', two.toUpperCase())),
    )
    assert.equal(tried.filter(Boolean).length, 1)
  })

  it('cannot be guessed fast, and a right code from a known address still gets in', async () => {
    const { accounts, clock, user, now } = await enrolled()
    assert.ok(await accounts.signIn('ann', PASSWORD, 'home', now()))
    for (let i = 0; i < 5; i++)
      await assert.rejects(accounts.steps.demand(user(), '000000', 'thief'), { code: 'code_wrong' })
    await assert.rejects(accounts.steps.demand(user(), '000000', 'thief'), { kind: 'throttled' })
    clock.ms += 30_000
    assert.ok(await accounts.signIn('ann', PASSWORD, 'home', now()))
  })

  it('keeps its secret sealed, and goes with a code, with an administrator, and with the user', async () => {
    const { accounts, secret, user, now } = await enrolled()
    const { rows } = await database.pool.query<{ sealed: Buffer }>('select sealed from totp')
    assert.equal(rows.length, 1)
    assert.ok(!rows[0]?.sealed.includes(secret))
    await assert.rejects(accounts.steps.factor.begin('ann'), { kind: 'conflict' })
    await assert.rejects(accounts.steps.remove(user(), '000000', 'home'), { code: 'code_wrong' })
    await accounts.steps.remove(user(), now(), 'home')
    assert.ok(await accounts.signIn('ann', PASSWORD))
    await assert.rejects(accounts.users.removeSecondFactor('ann'), { kind: 'missing' })
  })

  it('can be demanded: who has none sets one up at the console', async () => {
    const { accounts } = await world('everyone')
    await accounts.users.create({ name: 'ann', password: PASSWORD }, 'test')
    await assert.rejects(accounts.signIn('ann', PASSWORD), { code: 'second_factor_missing' })
    const entered = await accounts.enter(
      'ann',
      PASSWORD,
      { ...requestOf('POST', '/admin/login'), origin: 'https://cairn.example' },
      '/',
    )
    const { ticket, enrol } = 'ticket' in entered ? entered : assert.fail()
    const request = { ...requestOf('POST', '/admin/second-factor'), origin: 'https://cairn.example' }
    await assert.rejects(accounts.entry.second(ticket, '000000', request), { code: 'code_wrong' })
    const { codes, reply } = await accounts.entry.second(ticket, code(enrol?.secret ?? '', START), request)
    assert.equal(codes?.length, 10)
    assert.match(reply.headers['set-cookie'] ?? '', /^__Host-cairn=/)
    await assert.rejects(accounts.entry.second(ticket, codes?.[0] ?? '', request), { kind: 'unauthenticated' })
  })
})

describe('the throttle', () => {
  it('lets few of ten thousand guesses a minute through, from one address or from as many, and the owner in', () => {
    const clock = { ms: START }
    const throttle = new Throttle(() => clock.ms)
    throttle.attempt('ann', 'home')()
    const flood = (from: (i: number) => string) => {
      let passed = 0
      for (let i = 0; i < 10_000; i++, clock.ms += 6)
        try {
          throttle.attempt('ann', from(i))
          passed++
        } catch (error) {
          assert.ok(error instanceof RegistryError && (error.retryAfter ?? 0) <= 6)
        }
      return passed
    }
    assert.ok(flood(() => 'bot') <= 20)
    assert.ok(flood((i) => `bot-${i}`) <= 60)
    throttle.attempt('ann', 'home')()
    clock.ms += 2_000
    throttle.attempt('ann', 'a new place')()
  })

  it('slows one address down and lets it go on after a while', () => {
    const clock = { ms: START }
    const throttle = new Throttle(() => clock.ms)
    for (let i = 0; i < 10; i++) throttle.attempt('ann', 'a')
    assert.throws(
      () => throttle.attempt('ann', 'a'),
      (error: RegistryError) => error.kind === 'throttled' && error.retryAfter === 6,
    )
    throttle.attempt('ann', 'b')
    clock.ms += 6000
    throttle.attempt('ann', 'a')
    assert.throws(() => throttle.attempt('ann', 'a'), { kind: 'throttled' })
  })

  it('slows one address down over many accounts', () => {
    const throttle = new Throttle(() => START)
    for (let i = 0; i < 50; i++) throttle.attempt(`user-${i}`, 'a')
    assert.throws(() => throttle.attempt('another', 'a'), { kind: 'throttled' })
    throttle.attempt('another', 'b')
  })

  it('slows ten thousand addresses down at one account, and not its owner', () => {
    const throttle = new Throttle(() => START)
    throttle.attempt('ann', 'home')()
    let allowed = 0
    for (let i = 0; i < 10_000; i++) {
      try {
        throttle.attempt('ann', `bot-${i}`)
        allowed++
      } catch {}
    }
    assert.equal(allowed, 30)
    throttle.attempt('ann', 'home')
  })

  it('forgets successes at once', () => {
    const throttle = new Throttle(() => START)
    for (let i = 0; i < 1000; i++) throttle.attempt('ann', 'a')()
  })

  it('is not fooled by a clock that jumps back', () => {
    const clock = { ms: START }
    const throttle = new Throttle(() => clock.ms)
    for (let i = 0; i < 10; i++) throttle.attempt('ann', 'a')
    clock.ms -= 3_600_000
    assert.throws(() => throttle.attempt('ann', 'a'), { kind: 'throttled' })
    clock.ms += 6000
    throttle.attempt('ann', 'a')
  })
})

describe('accounts', () => {
  it('begin with one administrator, whose generated password is told once', async () => {
    const { accounts, gate } = await world()
    const password = await accounts.firstStart()
    assert.match(password ?? '', /^[\w-]{20}$/)
    assert.equal(await accounts.firstStart(), undefined)
    assert.equal(gate.mayAdminister(await gate.authenticate(basic('admin', password ?? ''))), true)
  })

  it('begin with the password that the operator chose, which is not told', async () => {
    const { accounts, gate } = await world()
    assert.equal(await accounts.firstStart('chosen'), undefined)
    assert.equal((await gate.authenticate(basic('admin', 'chosen'))).name, 'admin')
  })

  it('refuse a wrong password, an unknown user and a disabled one in the same words', async () => {
    const { accounts } = await populated()
    await accounts.users.create({ name: 'off', password: PASSWORD }, 'admin')
    await accounts.users.update('off', { disabled: true }, 'admin')
    const messages: string[] = []
    for (const [user, password] of [
      ['ann', 'wrong'],
      ['nobody', PASSWORD],
      ['off', PASSWORD],
      ['ann', ''],
      ['ann', ' '],
      ['ann', 'a\0b'],
    ])
      await assert.rejects(
        accounts.signIn(user ?? '', password ?? '', '192.0.2.9'),
        (error: RegistryError) => error.kind === 'unauthenticated' && messages.push(error.message) > 0,
      )
    assert.equal(new Set(messages).size, 1)
  })

  it('throttle guessing, and let the owner in again', async () => {
    const { accounts, clock } = await populated()
    for (let i = 0; i < 10; i++)
      await assert.rejects(accounts.signIn('ann', `guess ${i}`, 'bot'), { kind: 'unauthenticated' })
    await assert.rejects(accounts.signIn('ann', PASSWORD, 'bot'), { kind: 'throttled' })
    assert.ok(await accounts.signIn('ann', PASSWORD, 'home'))
    clock.ms += 60_000
    assert.ok(await accounts.signIn('ann', PASSWORD, 'bot'))
  })

  it('keep names apart: a name is taken once, also by two at the same moment', async () => {
    const { accounts } = await populated()
    const made = await Promise.allSettled([1, 2, 3].map(() => accounts.users.create({ name: 'twin' }, 'admin')))
    assert.deepEqual(made.map((one) => one.status).sort(), ['fulfilled', 'rejected', 'rejected'])
    for (const name of ['', 'Ann', 'a b', 'node:1', '-x', 'anonymous', '__token__', 'a'.repeat(64)])
      await assert.rejects(accounts.users.create({ name }, 'admin'), { kind: 'invalid' }, name)
  })

  it('never lose the last administrator', async () => {
    const { accounts } = await populated()
    for (const act of [
      () => accounts.users.remove('admin', 'admin'),
      () => accounts.users.update('admin', { disabled: true }, 'admin'),
      () => accounts.users.update('admin', { admin: false }, 'admin'),
    ])
      await assert.rejects(act, { kind: 'conflict', code: 'last_administrator' })
    await accounts.users.update('ann', { admin: true }, 'admin')
    await accounts.users.remove('admin', 'ann')
  })

  it('of a removed user leave nothing to who takes the name afterwards', async () => {
    const { accounts, gate, principal, ledger } = await populated()
    const { value } = await accounts.createToken(await principal('ann'), { name: 't', scopes: ['*'] })
    const session = await accounts.signIn('ann', PASSWORD)
    await accounts.users.remove('ann', 'admin')
    await accounts.users.create({ name: 'ann' }, 'admin')
    for (const header of [`Bearer ${value}`, `Bearer ${session.accessToken}`, basic('ann', PASSWORD)])
      await assert.rejects(async () => gate.authenticate(header), { kind: 'unauthenticated' })
    await assert.rejects(accounts.sessions.refresh(session.refreshToken), { kind: 'unauthenticated' })
    assert.equal(ledger.state.accessAll('token').length, 0)
  })

  it('forget the old password everywhere when a new one is set, and end sessions', async () => {
    const { accounts, gate } = await populated()
    const session = await accounts.signIn('ann', PASSWORD)
    assert.equal((await gate.authenticate(basic('ann', PASSWORD))).name, 'ann')
    await accounts.users.setPassword('ann', 'another horse', 'ann')
    await assert.rejects(async () => gate.authenticate(basic('ann', PASSWORD)), { kind: 'unauthenticated' })
    await assert.rejects(async () => gate.authenticate(`Bearer ${session.accessToken}`), { kind: 'unauthenticated' })
    await assert.rejects(accounts.sessions.refresh(session.refreshToken), { kind: 'unauthenticated' })
    assert.equal((await gate.authenticate(basic('ann', 'another horse'))).name, 'ann')
  })
})

describe('sessions', () => {
  it('rotate: each refresh ends the tokens before it', async () => {
    const { accounts, gate } = await populated()
    const first = await accounts.signIn('ann', PASSWORD)
    assert.equal(first.expiresIn, 3600)
    const second = await accounts.sessions.refresh(first.refreshToken)
    assert.equal((await gate.authenticate(`Bearer ${second.accessToken}`)).name, 'ann')
    await assert.rejects(async () => gate.authenticate(`Bearer ${first.accessToken}`), { kind: 'unauthenticated' })
  })

  it('end as a whole when a refresh token comes a second time', async () => {
    const { accounts, gate } = await populated()
    const first = await accounts.signIn('ann', PASSWORD)
    const other = await accounts.signIn('ann', PASSWORD)
    const second = await accounts.sessions.refresh(first.refreshToken)
    await assert.rejects(accounts.sessions.refresh(first.refreshToken), { kind: 'unauthenticated' })
    await assert.rejects(async () => gate.authenticate(`Bearer ${second.accessToken}`), { kind: 'unauthenticated' })
    await assert.rejects(accounts.sessions.refresh(second.refreshToken), { kind: 'unauthenticated' })
    assert.equal((await gate.authenticate(`Bearer ${other.accessToken}`)).name, 'ann', 'another login goes on')
  })

  it('give two who refresh at the same moment at most one living session', async () => {
    const { accounts, gate } = await populated()
    const first = await accounts.signIn('ann', PASSWORD)
    const tried = await Promise.allSettled([1, 2, 3, 4].map(() => accounts.sessions.refresh(first.refreshToken)))
    let living = 0
    for (const one of tried) {
      if (one.status !== 'fulfilled') continue
      living += await Promise.resolve()
        .then(() => gate.authenticate(`Bearer ${one.value.accessToken}`))
        .then(
          () => 1,
          () => 0,
        )
    }
    assert.ok(living <= 1)
  })

  it('given for a password that was checked are the same one, until the account changes', async () => {
    const { accounts, gate } = await populated()
    const ann = await gate.authenticate(basic('ann', PASSWORD))
    const [first, second] = await Promise.all([accounts.session(ann), accounts.session(ann)])
    assert.equal(first.value, second.value)
    assert.ok(first.expiresInSeconds > 1200)
    const byToken = await gate.authenticate(`Bearer ${first.value}`)
    assert.equal(byToken.name, 'ann')
    await assert.rejects(accounts.session(byToken), { kind: 'unauthenticated' })
    await assert.rejects(accounts.session(gate.anonymous), { kind: 'unauthenticated' })
    await accounts.revokeToken(byToken, first.value)
    const third = await accounts.session(ann)
    assert.notEqual(third.value, first.value)
    await accounts.users.setPassword('ann', 'another horse', 'ann')
    await assert.rejects(async () => gate.authenticate(`Bearer ${third.value}`), { kind: 'unauthenticated' })
    await assert.rejects(accounts.session(ann), { kind: 'unauthenticated' })
  })

  it('expire, and are swept away', async () => {
    const { accounts, gate, clock, ledger } = await populated()
    const { accessToken, refreshToken } = await accounts.signIn('ann', PASSWORD)
    clock.ms += 3_600_000
    assert.throws(() => gate.authenticate(`Bearer ${accessToken}`), { kind: 'unauthenticated', code: 'token_expired' })
    assert.equal(await accounts.sweep(), 1)
    assert.equal(ledger.state.accessAll('token').length, 0)
    assert.ok(await accounts.sessions.refresh(refreshToken), 'the refresh token lives longer')
    clock.ms += 31 * 86_400_000
    await accounts.sweep()
    assert.equal(
      (await database.pool.query('select 1 from refresh_token where expires_at < $1', [new Date(clock.ms)])).rowCount,
      0,
    )
  })

  it('end at logout, by access token and by refresh token', async () => {
    const { accounts, gate } = await populated()
    const one = await accounts.signIn('ann', PASSWORD)
    await accounts.signOut(await gate.authenticate(`Bearer ${one.accessToken}`), undefined)
    await assert.rejects(accounts.sessions.refresh(one.refreshToken), { kind: 'unauthenticated' })
    const two = await accounts.signIn('ann', PASSWORD)
    await accounts.signOut(gate.anonymous, two.refreshToken)
    await assert.rejects(async () => gate.authenticate(`Bearer ${two.accessToken}`), { kind: 'unauthenticated' })
  })

  it('do not accept each other: a refresh token is no access token and the reverse', async () => {
    const { accounts, gate } = await populated()
    const { accessToken, refreshToken } = await accounts.signIn('ann', PASSWORD)
    await assert.rejects(async () => gate.authenticate(`Bearer ${refreshToken}`), { kind: 'unauthenticated' })
    await assert.rejects(accounts.sessions.refresh(accessToken), { kind: 'unauthenticated' })
  })
})

describe('API tokens', () => {
  it('are stored as hashes only, and listed without sessions and other users', async () => {
    const { accounts, principal, ledger } = await populated()
    await accounts.signIn('ann', PASSWORD)
    const { value, token } = await accounts.createToken(await principal('ann'), {
      name: 'ci',
      scopes: ['read:npm-*'],
      expiresInDays: 7,
    })
    assert.equal(token.expiresAt, '2026-01-08T00:00:00.000Z')
    assert.deepEqual(
      accounts.tokens(await principal('ann')).map((one) => one.id),
      [token.id],
    )
    assert.deepEqual(accounts.tokens(await principal('admin')), [])
    assert.ok(!JSON.stringify(ledger.log).includes(value))
  })

  it('never make one that may do more or lasts longer', async () => {
    const { accounts, principal, gate } = await populated()
    const { value } = await accounts.createToken(await principal('ann'), {
      name: 'narrow',
      scopes: ['read', 'write:a-*'],
      expiresInDays: 7,
    })
    const narrow = await gate.authenticate(`Bearer ${value}`)
    for (const scopes of [['*'], ['write'], ['delete'], ['admin:a-*'], ['read', 'write:b']])
      await assert.rejects(accounts.createToken(narrow, { name: 'x', scopes }), { kind: 'forbidden' }, String(scopes))
    const { token } = await accounts.createToken(narrow, { name: 'x', scopes: ['read:a'], expiresInDays: 30 })
    assert.equal(token.expiresAt, '2026-01-08T00:00:00.000Z')
  })

  it('are revoked by their owner and by administrators, by id or by value', async () => {
    const { accounts, principal, gate } = await populated()
    const make = async () => accounts.createToken(await principal('ann'), { name: 't', scopes: ['*'] })
    const [one, two, three] = [await make(), await make(), await make()]
    await accounts.users.create({ name: 'bob', password: PASSWORD }, 'admin')
    assert.equal(await accounts.revokeToken(await principal('bob'), one.token.id), false)
    assert.equal(await accounts.revokeToken(await principal('ann'), one.token.id), true)
    assert.equal(await accounts.revokeToken(await principal('ann'), two.value), true)
    assert.equal(await accounts.revokeToken(await principal('admin'), three.token.id), true)
    assert.equal(await accounts.revokeToken(await principal('ann'), one.token.id), false)
    for (const { value } of [one, two, three])
      assert.throws(() => gate.authenticate(`Bearer ${value}`), { kind: 'unauthenticated' })
  })

  it('refuse drafts that make no sense', async () => {
    const { accounts, principal } = await populated()
    const ann = await principal('ann')
    for (const draft of [
      { name: '', scopes: ['*'] },
      { name: 'x\n', scopes: ['*'] },
      { name: 'x', scopes: [] },
      { name: 'x', scopes: ['everything'] },
      { name: 'x', scopes: ['*'], expiresInDays: 0 },
      { name: 'x', scopes: ['*'], expiresInDays: 1e9 },
    ])
      await assert.rejects(accounts.createToken(ann, draft), { kind: 'invalid' }, JSON.stringify(draft))
  })

  it("come from a client's own log-in, throttled by address", async () => {
    const { accounts, gate } = await populated()
    const here = accounts.at('192.0.2.1')
    assert.equal((await gate.authenticate(`Bearer ${await here.login('ann', PASSWORD, 'npm')}`)).name, 'ann')
    for (let i = 0; i < 10; i++) await assert.rejects(here.login('ann', 'wrong', 'npm'), { kind: 'unauthenticated' })
    await assert.rejects(here.login('ann', PASSWORD, 'npm'), { kind: 'throttled' })
  })
})

describe('the audit trail', () => {
  it('is paged, newest first, filtered, and takes what strangers send', async () => {
    const audit = new Audit(database.pool)
    const entry = {
      who: 'ann',
      action: 'x.y',
      subject: 's',
      outcome: 'ok',
      requestId: 'r',
      remote: 'a',
      detail: { n: 1 },
    }
    for (let i = 0; i < 5; i++) await audit.record({ ...entry, subject: `s${i}` })
    await audit.record({ ...entry, who: 'bob\0', subject: 'long '.repeat(1000) })
    const first = await audit.list({ limit: 2, who: 'ann' })
    assert.deepEqual(
      first.map((row) => row.subject),
      ['s4', 's3'],
    )
    assert.deepEqual(
      (await audit.list({ limit: 9, who: 'ann', before: first[1]?.id })).map((row) => row.subject),
      ['s2', 's1', 's0'],
    )
    assert.equal((await audit.list({ limit: 1, who: 'bob' }))[0]?.subject.length, 500)
    assert.deepEqual(first[0]?.detail, { n: 1 })
  })

  const entry = { who: 'ann', action: 'x.y', subject: 's', outcome: 'ok', requestId: 'r', remote: 'a', detail: {} }
  const lines = async (audit: Audit, after = 0) => {
    const chunks: Buffer[] = []
    for await (const chunk of audit.export(after)) chunks.push(Buffer.from(chunk))
    const text = Buffer.concat(chunks).toString().trim()
    return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line) as Exported)
  }
  const check = (rows: Exported[]) => {
    const chain = new ChainCheck()
    for (const row of rows) chain.push(row)
    return chain
  }

  it('is one chain, however many write at once, whatever they write, and from each row on', async () => {
    const recorded: Recorded[] = []
    const audit = new Audit(database.pool, { onRecorded: (row) => recorded.push(row) })
    const other = new Audit(database.pool)
    const odd = { n: 1.5, no: null, yes: true, text: 'ü\ud800\0"\n\u2028' }
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => (i % 2 ? audit : other).record({ ...entry, subject: `p${i}`, detail: odd })),
    )
    const rows = await lines(audit)
    const { hash, from } = check(rows)
    assert.deepEqual([await audit.head(), from], [{ id: rows.at(-1)?.id, hash }, undefined])
    assert.equal(recorded.length, 25)
    assert.ok(recorded.every((row) => rows.some(({ id, hash }) => id === row.id && hash === row.hash)))
    const tail = await lines(audit, rows.at(-4)?.id)
    assert.equal(tail.length, 3)
    assert.equal(check(tail).from, tail[0]?.id)
  })

  it('shows a row that was changed, left out, moved, put in, or written past the chain', async () => {
    const rows = await lines(new Audit(database.pool))
    const [a, b, c] = rows.slice(-3) as [Exported, Exported, Exported]
    const before = rows.slice(0, -3)
    const broken = (...tail: Exported[]) =>
      assert.throws(() => check([...before, ...tail]), { kind: 'corrupt', code: 'audit_broken' })
    check([...before, a, b, c])
    for (const name of ['at', 'username', 'action', 'subject', 'outcome', 'request_id', 'remote'] as const)
      broken(a, { ...b, [name]: `${b[name]}x` }, c)
    broken(a, { ...b, detail: { ...b.detail, n: 2 } }, c)
    broken(a, c)
    broken(b, a, c)
    broken(a, { ...a, id: b.id }, c)
    broken(a, b, { ...c, hash: null, previous: null })
    await database.pool.query(
      `insert into audit (who, action, subject, outcome, request_id, remote, detail) values ('x', 'x', 'x', 'ok', 'x', 'x', '{}')`,
    )
    await assert.rejects(async () => check(await lines(new Audit(database.pool))), /written past the chain/)
  })

  it('cannot be changed, not even by the program', async () => {
    for (const sql of ["update audit set who = 'x'", 'delete from audit', 'truncate audit'])
      await assert.rejects(database.pool.query(sql), /append only/)
  })
})

async function world(secondFactor: SecondFactorDemand = 'optional') {
  await database.pool.query('truncate password, refresh_token, totp, recovery_code')
  const clock = { ms: START }
  const ledger = await MemoryLedger.open(() => new Date(clock.ms).toISOString())
  const accounts = new PrimaryAccounts({
    pool: database.pool,
    ledger,
    metadata: ledger.state,
    key: KEY,
    secondFactor,
    hashes: new PasswordHashes(1024),
    nowMs: () => clock.ms,
  })
  const gate = new Gate(ledger.state, accounts, { nowMs: () => clock.ms })
  return { clock, ledger, accounts, gate }
}

async function populated() {
  const made = await world()
  await made.accounts.firstStart(PASSWORD)
  await made.accounts.users.create({ name: 'ann', password: PASSWORD }, 'admin')
  const principal = async (name: string): Promise<Principal> => made.gate.authenticate(basic(name, PASSWORD))
  return { ...made, principal }
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}
