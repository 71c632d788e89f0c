import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { before, describe, it } from 'node:test'
import { parseVerifierKey, verifierKey } from '../../../protocol/log/checkpoint.js'
import { type LogItem, leafOf } from '../../../protocol/log/entry.js'
import { type Proof, verifyProof } from '../../../protocol/log/proof.js'
import { type HeldLog, Prover } from '../../../protocol/log/prover.js'
import { LogTree } from '../../../protocol/log/tree.js'
import { Tree } from '../../../protocol/merkle.js'
import { MemoryLedger } from '../../../protocol/metadata/memory.js'
import { FLEET } from '../../../protocol/records.js'
import { publish, repositoryRecord } from '../../contracts/metadata.js'
import { SignedLog } from '../../support/signed-log.js'

describe('inclusion proofs of a log', () => {
  it('are those of the whole tree, for every entry and around every tile', async () => {
    const all = Buffer.concat(Array.from({ length: 1100 }, (_, i) => createHash('sha256').update(String(i)).digest()))
    const tree = new LogTree(async (start, end) => all.subarray(start * 32, end * 32))
    for (const length of [1, 2, 255, 256, 257, 511, 512, 513, 700, 1024, 1100]) {
      const whole = new Tree(all.subarray(0, length * 32))
      for (let number = 1; number <= length; number += length > 300 ? 37 : 1)
        assert.deepEqual(
          await tree.proof(number, length),
          Buffer.from(whole.proof(number - 1, 1)),
          `${number} of ${length}`,
        )
    }
  })

  it('are made once a read has failed, and from a shorter log after a longer one', async () => {
    const all = Buffer.alloc(600 * 32, 7)
    let broken = true
    const tree = new LogTree(async (start, end) => {
      if (broken) throw new Error('not now')
      return all.subarray(start * 32, end * 32)
    })
    await assert.rejects(tree.proof(5, 600))
    broken = false
    await tree.proof(5, 600)
    assert.deepEqual(await tree.proof(5, 300), Buffer.from(new Tree(all.subarray(0, 300 * 32)).proof(4, 1)))
  })
})

describe('a proof of a file', () => {
  let ledger: MemoryLedger
  let log: SignedLog
  let prover: Prover
  const one = repositoryRecord('one')
  const two = repositoryRecord('two')

  before(async () => {
    ledger = await MemoryLedger.open()
    log = new SignedLog(ledger)
    for (const record of [one, two])
      await ledger.commit({ scope: FLEET, steps: [{ kind: 'repository', key: record.key, record }], by: 'admin' })
    for (let i = 0; i < 300; i++)
      await ledger.commit({ scope: one.scope, steps: [publish(`p${i}`, '1.0.0', [`p${i}/f`])], by: 'ann' })
    await ledger.commit({ scope: two.scope, steps: [publish('p7', '1.0.0', ['p7/f'], [], 'y')], by: 'bob' })
    const { note } = log.batch()
    prover = new Prover({
      log: held(log.items, note),
      metadata: ledger.state,
      fleet: log.fleet,
      publicKey: log.publicKey,
    })
  })

  const file = async (name: string) => {
    const [first] = (await ledger.state.files(one.scope, { prefix: name, limit: 1 })).filter(
      (found) => found.package === name,
    )
    assert.ok(first)
    return first
  }
  const proof = async (scope: string, path: string): Promise<Proof> => {
    const made = await prover.prove(scope, path)
    assert.ok(made)
    return JSON.parse(JSON.stringify(made)) as Proof
  }
  const check = (made: Proof, path: string) => verifyProof(made, path, log.fleet, log.publicKey)

  it('says where, when and by whom these bytes were published', async () => {
    const { path, digest, size } = await file('p7')
    const said = check(await proof(one.scope, path), path)
    assert.deepEqual(
      [said.repository, said.path, said.digest, said.size, said.package, said.version, said.by],
      ['one', path, digest, size, 'p7', '1.0.0', 'ann'],
    )
    assert.equal(said.checkpoint.number, 303)
  })

  it('holds for a version that was removed and restored', async () => {
    const { path } = await file('p9')
    const target = { package: 'p9', version: '1.0.0' }
    await ledger.commit({ scope: one.scope, steps: [{ kind: 'remove', ...target }], by: 'ann' })
    await ledger.commit({ scope: one.scope, steps: [{ kind: 'restore', ...target }], by: 'ann' })
    assert.equal(check(await proof(one.scope, path), path).package, 'p9')
  })

  it('proves nothing once anything in it is another', async () => {
    const { path } = await file('p7')
    const flip = (text: string) => {
      const bytes = Buffer.from(text, 'base64')
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
      return bytes.toString('base64')
    }
    const good = await proof(one.scope, path)
    const other = await proof(two.scope, path)
    const entry = good.file
    const bad: Record<string, Proof> = {
      'the change': { ...good, file: { ...entry, body: flip(entry.body) } },
      'its salt': { ...good, file: { ...entry, salt: flip(entry.salt) } },
      'the way': { ...good, file: { ...entry, siblings: flip(entry.siblings) } },
      'a shorter way': { ...good, file: { ...entry, siblings: entry.siblings.slice(44) } },
      'a cut way': {
        ...good,
        file: { ...entry, siblings: Buffer.from(entry.siblings, 'base64').subarray(1).toString('base64') },
      },
      'the place': { ...good, file: { ...entry, number: entry.number + 1 } },
      'beyond the end': { ...good, file: { ...entry, number: 100_000 } },
      'the repository': { ...good, repository: other.repository },
      'no repository': { ...good, repository: entry },
      'the length': { ...good, checkpoint: good.checkpoint.replace('\n303\n', '\n304\n') },
      'the signature': { ...good, checkpoint: good.checkpoint.replace(/.{8}=*\n$/, 'AAAAAAAA\n') },
    }
    for (const [what, proof] of Object.entries(bad))
      assert.throws(
        () => check(proof, path),
        (error: { kind?: string }) => ['corrupt', 'invalid'].includes(error.kind ?? ''),
        what,
      )
    assert.throws(() => check(good, `${path}.other`), { kind: 'corrupt' })
    assert.throws(() => verifyProof(good, path, log.fleet, Buffer.alloc(32, 9)), { kind: 'corrupt' })
    assert.throws(() => verifyProof(good, path, 'another', log.publicKey), { kind: 'corrupt' })
  })

  it('is not made where the change may not be seen', async () => {
    const { path } = await file('p7')
    const hidden = log.items.map((item): LogItem => ({ number: item.number, leaf: leafOf(item) }))
    const blind = new Prover({
      log: held(hidden, log.batch().note),
      metadata: ledger.state,
      fleet: log.fleet,
      publicKey: log.publicKey,
    })
    assert.equal(await blind.prove(one.scope, path), undefined)
    assert.equal(await prover.prove(one.scope, 'never/was'), undefined)
  })
})

describe('a log key', () => {
  it('is read as it is written, and nothing else is', () => {
    const key = Buffer.alloc(32, 5)
    const text = verifierKey('fleet-1', key)
    assert.deepEqual(parseVerifierKey(text), { fleet: 'fleet-1', publicKey: key })
    for (const wrong of ['', 'fleet-1', text.replace('fleet-1', 'fleet-2'), text.slice(0, -4), `${text}AAAA`])
      assert.throws(() => parseVerifierKey(wrong), { kind: 'invalid' }, wrong)
  })
})

function held(items: LogItem[], note: string): HeldLog {
  return {
    newest: async () => ({ number: items.length, note }),
    entry: async (number) => {
      const item = items[number - 1]
      return item && 'body' in item ? item : undefined
    },
    tree: new LogTree(async (start, end) => Buffer.concat(items.slice(start, end).map(leafOf))),
  }
}
