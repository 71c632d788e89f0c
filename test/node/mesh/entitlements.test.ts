import assert from 'node:assert/strict'
import { it } from 'node:test'
import { remembering } from '../../../node/mesh/entitlements.js'
import type { Certificate } from '../../../protocol/certificate.js'
import type { Digest, Stored } from '../../../protocol/records.js'

const DIGEST = 'a'.repeat(64) as Digest
const STORED: Stored = { digest: DIGEST, size: 1, root: 'b'.repeat(64), hashes: {} }

it('what a peer may have is asked once for as long as no record changes, and what it may not have each time', async () => {
  const certificate: Certificate = { fleet: 'f', sub: 's', name: 'n', peer: 'p', repositories: ['*'], iat: 0, exp: 1 }
  const state = { number: 1, allowed: true, asked: 0 }
  const entitled = remembering(
    () => {
      state.asked++
      return state.allowed ? STORED : undefined
    },
    () => state.number,
  )
  assert.equal(await entitled(certificate, 'one', DIGEST), STORED)
  assert.equal(await entitled(certificate, 'one', DIGEST), STORED)
  assert.equal(state.asked, 1)
  await entitled(certificate, 'two', DIGEST)
  assert.equal(state.asked, 2)
  await entitled({ ...certificate, repositories: ['two'] }, 'two', DIGEST)
  assert.equal(state.asked, 3)
  Object.assign(state, { number: 2, allowed: false })
  assert.equal(await entitled(certificate, 'one', DIGEST), undefined)
  state.allowed = true
  assert.equal(await entitled(certificate, 'one', DIGEST), STORED)
})
