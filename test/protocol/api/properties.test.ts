import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { entriesAt, layEntry } from '../../../formats/npm/entry.js'
import { readProperties, writeProperties } from '../../../protocol/api/properties.js'

describe('properties', () => {
  it('are written beside what an entry holds, changed, and taken away without a trace', () => {
    const before = JSON.stringify({ name: 'p', nested: { a: [1, 2] } })
    const one = writeProperties(before, { stage: 'qa', owner: 'ann' })
    assert.deepEqual(readProperties(one), { stage: 'qa', owner: 'ann' })
    assert.deepEqual(readProperties(writeProperties(one, { stage: 'prod', owner: null })), { stage: 'prod' })
    assert.equal(writeProperties(one, { stage: null, owner: null }), before)
  })

  it('begin an entry that has none, and are nothing where an entry is no object', () => {
    assert.deepEqual(readProperties(writeProperties('', { a: 'b' })), { a: 'b' })
    for (const meta of ['', '[]', 'not JSON "_cairn"', '{"_cairn":3}', '{"_cairn":{"properties":{"a":1}}}'])
      assert.deepEqual(readProperties(meta), {})
    assert.throws(() => writeProperties('[1]', { a: 'b' }), { kind: 'unsupported' })
  })

  it('are bounded in number', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`p${i}`, 'x']))
    const full = writeProperties('{}', many)
    assert.throws(() => writeProperties(full, { another: 'x' }), { kind: 'invalid' })
    assert.equal(Object.keys(readProperties(writeProperties(full, { another: 'x', p0: null }))).length, 100)
  })

  it("leave npm's entries in the order that packuments are cut from, and out of what installers get", () => {
    const facts = { tarball: 'p/-/p-1.0.0.tgz', shasum: 's', integrity: 'i', fileCount: 1, unpackedSize: 2 }
    const entry = layEntry({ name: 'p', version: '1.0.0', dependencies: { q: '^1' }, readme: 'r', dist: {} }, facts)
    const changed = writeProperties(entry, { stage: 'qa' })
    const { full, short } = entriesAt('http://registry.test/repository/npm')
    assert.equal(short(changed, 'p@1.0.0'), short(entry, 'p@1.0.0'))
    const { _cairn, ...rest } = JSON.parse(full(changed))
    assert.deepEqual(rest, JSON.parse(full(entry)))
    assert.deepEqual(_cairn, { properties: { stage: 'qa' } })
    assert.ok(changed.startsWith('{"dist":{"tarball":"p/-/'))
  })
})
