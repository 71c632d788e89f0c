import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseGoMod } from '../../../formats/go/go-mod.js'
import { GO_MODS } from './go-mods.js'

describe('a go.mod file', () => {
  for (const [text, said] of GO_MODS)
    it(`${said ? 'is read' : 'is refused'}: ${JSON.stringify(text)}`, () => {
      if (said) assert.deepEqual(parseGoMod(Buffer.from(text)), said)
      else assert.throws(() => parseGoMod(Buffer.from(text)), { kind: 'invalid', message: /go\.mod/ })
    })

  it('is refused when it is not UTF-8, or retracts too much', () => {
    assert.throws(() => parseGoMod(Buffer.from([0x6d, 0xff])), { kind: 'invalid' })
    const many = Array.from({ length: 1001 }, (_, i) => `retract v1.0.${i}\n`).join('')
    assert.throws(() => parseGoMod(Buffer.from(`module example.com/m\n${many}`)), /more than 1000/)
  })
})
