/** The recovery key, and what is sealed to it: through the program, a primary and a node. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Replica } from '../node/replica/replica.js'
import { Escrow } from '../primary/recovery/escrow.js'
import { MemoryLedger } from '../protocol/metadata/memory.js'
import { type EscrowRecord, FLEET } from '../protocol/records.js'
import { newRecoveryKey, parseRecoveryKey, publicHalves } from '../protocol/recovery/key.js'
import { openSealed } from '../protocol/recovery/sealed.js'
import { cairn as run } from './deploy/scripted.js'
import { type TestFleet, testFleet, until } from './support/fleet.js'
import { testDatabase } from './support/postgres.js'

describe('a recovery key', () => {
  let fleet: TestFleet
  let file: string

  const cairn = (...args: string[]) =>
    run(args, {
      folder: fleet.dir,
      environment: { CAIRN_URL: fleet.primaryUrl, CAIRN_TOKEN: fleet.admin.slice('Bearer '.length) },
    })
  const status = async () => (await fleet.api('GET', '/api/v1/recovery-key')) as { sealed: number; signing: string }
  /** What the node has, as its disk says. */
  const sealedAtNode = async (): Promise<EscrowRecord[]> => {
    await until(async () => {
      const number = async (url: string) => ((await (await fetch(`${url}/health`)).json()) as { number: number }).number
      return (await number(fleet.nodeUrls[0] ?? '')) >= (await number(fleet.primaryUrl))
    })
    await fleet.stopNode(0)
    const identity = JSON.parse(await readFile(join(fleet.dir, 'node-1', 'identity.json'), 'utf8')) as {
      fleet: string
      logKey: string
    }
    const replica = await Replica.open({
      dir: join(fleet.dir, 'node-1', 'replica'),
      fleet: identity.fleet,
      publicKey: Buffer.from(identity.logKey, 'base64url'),
      onAlarm: assert.fail,
    })
    const found = replica.state.accessAll('escrow')
    await replica.close()
    await fleet.startNode(0)
    return found
  }

  before(async () => {
    fleet = await testFleet({ nodes: 1 })
    file = join(fleet.dir, 'recovery.key')
  })
  after(async () => fleet.close())

  it('is made by the program, in a file of its owner, and only its public halves reach the registry', async () => {
    const missing = await cairn('recovery', 'status')
    assert.equal(missing.code, 3)
    assert.match(missing.err, /cairn recovery create/)
    assert.equal((await cairn('recovery', 'create', '--out', file)).code, 0)
    const key = parseRecoveryKey(await readFile(file, 'utf8'))
    assert.equal((await status()).signing, publicHalves(key).signing)
    assert.ok((await status()).sealed >= 2)
  })

  it('opens what the nodes keep: the primary’s keys and its accounts', async () => {
    await fleet.api('POST', '/api/v1/users', { username: 'alice', password: 'a long password of alice, 2026' })
    await fleet.api('PUT', '/api/v1/trust-rules/ci', {
      issuer: 'https://ci.example',
      claims: { repository: 'acme/thing' },
      account: 'alice',
      scopes: ['read'],
    })
    const before = (await status()).sealed
    await until(async () => (await status()).sealed === before + 2, 60_000)
    const key = parseRecoveryKey(await readFile(file, 'utf8'))
    const parcels = new Map(
      (await sealedAtNode()).map(({ id, sealed }) => [
        id,
        JSON.parse(openSealed(key.sealing, id, Buffer.from(sealed, 'base64')).toString()) as Record<string, unknown>,
      ]),
    )
    const keys = join(fleet.dir, 'primary', 'keys')
    const names = (await readdir(keys)).filter((name) => name !== 'tls.crt')
    assert.deepEqual(Object.keys(parcels.get('keys') ?? {}).sort(), names.sort())
    for (const name of names)
      assert.equal(parcels.get('keys')?.[name], (await readFile(join(keys, name))).toString('base64'))
    assert.match(JSON.stringify(parcels.get('user/alice')), /"hash":"scrypt/)
    assert.match(JSON.stringify(parcels.get('trust/ci')), /ci\.example/)
    assert.ok([...parcels.keys()].some((id) => id.startsWith('node/')))
  })

  it('is sealed to anew when it is replaced, which only the key before can do', async () => {
    const second = join(fleet.dir, 'second.key')
    const refused = await cairn('recovery', 'create', '--out', second)
    assert.equal(refused.code, 5)
    assert.match(refused.err, /--old-key-file/)
    const broken = join(fleet.dir, 'broken.key')
    await writeFile(broken, (await readFile(file, 'utf8')).trim().slice(0, -3))
    assert.match(
      (await cairn('recovery', 'create', '--out', second, '--old-key-file', broken)).err,
      /no recovery key: take all of the line that begins with cairn_recovery_/,
    )
    const first = parseRecoveryKey(await readFile(file, 'utf8'))
    assert.equal((await cairn('recovery', 'create', '--out', second, '--old-key-file', file)).code, 0)
    const key = parseRecoveryKey(await readFile(second, 'utf8'))
    const [parcel] = (await sealedAtNode()).filter(({ id }) => id === 'keys')
    const sealed = Buffer.from(parcel?.sealed ?? '', 'base64')
    assert.ok(openSealed(key.sealing, 'keys', sealed))
    assert.throws(() => openSealed(first.sealing, 'keys', sealed), { code: 'sealed_to_another' })
    assert.throws(() => openSealed(key.sealing, 'user/alice', sealed), { code: 'sealed_to_another' })
  })
})

describe('the escrow', () => {
  it('seals what changed, and nothing for being used', async () => {
    const database = await testDatabase()
    const keys = await mkdtemp(join(tmpdir(), 'cairn-keys-'))
    const { pool } = database
    const ledger = await MemoryLedger.open()
    const escrow = new Escrow({ pool, ledger, metadata: ledger.state, keys, nowMs: Date.now })
    const ids = () => ledger.state.accessAll('escrow').map(({ id }) => id)
    await pool.query(`insert into password (user_name, hash) values ('ann', 'one'), ('ben', 'two')`)
    await pool.query(`insert into passkey values ('p', 'ann', '\\x00', 0, 'key', now(), null)`)
    assert.equal(await escrow.refresh(), 0)
    const record = { id: 'key' as const, ...publicHalves(parseRecoveryKey(newRecoveryKey(Buffer.alloc(32)))) }
    await ledger.commit({
      scope: FLEET,
      steps: [{ kind: 'access', subject: 'recovery', id: 'key', record: { ...record, createdAt: '' } }],
      by: 'admin',
    })
    assert.equal(await escrow.refresh(), 3)
    assert.deepEqual(ids().sort(), ['keys', 'user/ann', 'user/ben'])
    await pool.query('update passkey set counter = 7, used_at = now()')
    assert.equal(await escrow.refresh(), 0)
    await pool.query(`update password set hash = 'three' where user_name = 'ann'`)
    assert.equal(await escrow.refresh(), 1)
    await pool.query(`delete from password where user_name = 'ben'`)
    await writeFile(join(keys, 'new.key'), 'x')
    assert.equal(await escrow.refresh(), 2)
    assert.deepEqual(ids().sort(), ['keys', 'user/ann'])
    await database.close()
    await rm(keys, { recursive: true })
  })
})
