/** Credentials at rest: nobody who has the database alone can read them, or give them to another repository. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type pg from 'pg'
import {
  authorizationOf,
  credentialKey,
  PostgresCredentials,
  seal,
  unseal,
} from '../../../primary/upstream/credentials.js'

describe('credentials for upstreams', () => {
  const key = randomBytes(32)

  it('are opened by the key and the scope that they were sealed with', () => {
    const sealed = seal(key, 'one', 'secret')
    assert.equal(unseal(key, 'one', sealed), 'secret')
    assert.equal(sealed.includes('secret'), false)
    assert.notDeepEqual(seal(key, 'one', 'secret'), sealed)
  })

  it('are not opened for another scope, by another key, or after a bit has flipped', () => {
    const sealed = seal(key, 'one', 'secret')
    assert.throws(() => unseal(key, 'other', sealed))
    assert.throws(() => unseal(randomBytes(32), 'one', sealed))
    for (let i = 0; i < sealed.length; i++) {
      const spoiled = Buffer.from(sealed)
      spoiled[i] = (spoiled[i] ?? 0) ^ 1
      assert.throws(() => unseal(key, 'one', spoiled))
    }
  })

  it('become an Authorization value', () => {
    assert.equal(authorizationOf({ kind: 'bearer', token: 't' }), 'Bearer t')
    assert.equal(authorizationOf({ kind: 'basic', username: 'ann', password: 'p:w' }), 'Basic YW5uOnA6dw==')
  })

  it('have a key that is made once, for its owner only', async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'cairn-key-'))
    t.after(() => rm(dir, { recursive: true }))
    const path = join(dir, 'upstreams.key')
    const made = await credentialKey(path)
    assert.deepEqual(Buffer.from(await credentialKey(path)), Buffer.from(made))
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    await writeFile(path, 'short')
    await assert.rejects(credentialKey(path))
  })
})

describe('kept credentials', () => {
  it('are given out for their own origin only, also when they change while they are read', async () => {
    const rows = new Map<string, Buffer>()
    let reading = () => {}
    let slow: Promise<void> | undefined
    const query = async (sql: string, [scope = '', sealed]: [string, Buffer?]) => {
      if (sql.startsWith('insert') && sealed) rows.set(scope, sealed)
      const found = rows.get(scope)
      if (sql.startsWith('select')) await slow
      return { rows: found ? [{ sealed: found }] : [] }
    }
    const kept = new PostgresCredentials({ query } as unknown as pg.Pool, randomBytes(32))
    const bearer = (token: string) => ({
      origin: 'https://one.example',
      credential: { kind: 'bearer', token } as const,
    })
    await kept.set('s', bearer('old'))
    slow = new Promise((resolve) => {
      reading = resolve
    })
    const before = kept.authorization('s', 'https://one.example')
    await kept.set('s', bearer('new'))
    reading()
    assert.equal(await before, 'Bearer old')
    assert.equal(await kept.authorization('s', 'https://one.example'), 'Bearer new')
    assert.equal(await kept.authorization('s', 'https://two.example'), undefined)
    assert.equal(await kept.authorization('s', 'http://one.example'), undefined)
    const key = { kind: 'header', header: 'X-Api-Key', value: 'k' } as const
    await kept.set('s', { origin: 'https://one.example', credential: key })
    assert.deepEqual(await kept.headers('s', 'https://one.example'), { 'X-Api-Key': 'k' })
    assert.equal(await kept.headers('s', 'https://two.example'), undefined)
    assert.equal(await kept.authorization('s', 'https://one.example'), undefined)
  })
})
