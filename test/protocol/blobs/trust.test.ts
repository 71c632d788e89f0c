import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FileState, Trust } from '../../../protocol/blobs/trust.js'

const file: FileState = { dev: 1, ino: 2, size: 3, mtimeMs: 1000, ctimeMs: 1000 }

test('a verified blob is trusted until its check is old', () => {
  let now = 2000
  const trust = new Trust({ reverifyMs: 100, now: () => now })
  assert.equal(trust.has('root', file), false)
  trust.add('root', trust.begin(file), file)
  now = 2099
  assert.equal(trust.has('root', file), true)
  assert.equal(trust.has('other', file), false)
  now = 2100
  assert.equal(trust.has('root', file), false)
})

test('a file that differs in anything is not trusted', () => {
  const trust = new Trust({ reverifyMs: 100, now: () => 2000 })
  trust.add('root', trust.begin(file), file)
  for (const key of ['dev', 'ino', 'size', 'mtimeMs', 'ctimeMs'] as const)
    assert.equal(trust.has('root', { ...file, [key]: 7 }), false, key)
})

test('a file that changed while it was checked, or just before, is not trusted', () => {
  const trust = new Trust({ reverifyMs: 100, now: () => 2000 })
  trust.add('changed', trust.begin(file), { ...file, ctimeMs: 1999 })
  assert.equal(trust.has('changed', { ...file, ctimeMs: 1999 }), false)
  const fresh = { ...file, ctimeMs: 1960 }
  trust.add('fresh', trust.begin(fresh), fresh)
  assert.equal(trust.has('fresh', fresh), false)
})
