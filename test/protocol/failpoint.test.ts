import assert from 'node:assert/strict'
import { it } from 'node:test'
import { armedBy } from '../../protocol/failpoint.js'

it('a failpoint is armed by its name, and a name that is none is refused', () => {
  assert.equal(armedBy(undefined), undefined)
  assert.equal(armedBy(''), undefined)
  assert.equal(armedBy('committed:crash'), 'committed')
  for (const wrong of ['committed', 'commited:crash', 'committed:sleep', ':crash'])
    assert.throws(() => armedBy(wrong), /no such step/)
})
