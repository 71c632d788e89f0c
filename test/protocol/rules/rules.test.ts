/** What rules are about: ranges in every ecosystem's own order, licences, names. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formats } from '../../../formats/index.js'
import type { Grammar } from '../../../protocol/format.js'
import type { Digest, Rules } from '../../../protocol/records.js'
import { namesLicence } from '../../../protocol/rules/licence.js'
import { parseRange } from '../../../protocol/rules/range.js'
import { Screen } from '../../../protocol/rules/screen.js'

const grammarOf = (name: string): Grammar => formats.find((format) => format.name === name)?.grammar ?? {}
const NO_RULES: Rules = { cooldownDays: 0, cooldownExceptions: [], blocked: [], reservedNames: [], mergedNames: [] }

describe('a range of versions', () => {
  const table: [format: string, range: string, inside: string[], outside: string[]][] = [
    ['npm', '>=1.0 <1.4.2', ['1.0.0', '1.4.1', '1.4.2-rc.1'], ['0.9.9', '1.4.2', '1.0.0-rc.1', 'x']],
    ['npm', '1.2.3, 1.3, 2.*', ['1.2.3', '1.3.0', '2.0.0-beta'], ['1.2.4', '12.0.0']],
    ['npm', '3.1.0 >= 4 , < 5', ['3.1.0', '4.0.0', '4.9.9'], ['5.0.0', '3.1.1']],
    ['cargo', '<=0.10', ['0.9.0', '0.10.0'], ['0.10.1']],
    ['maven', '<2.17.1', ['2.17', '2.17.1-SNAPSHOT', '2.9'], ['2.17.1', '2.18-alpha']],
    ['maven', '1.0', ['1', '1.0.0'], ['1.0.1']],
    ['pypi', '>=1.0rc1,<1.0.post1', ['1.0rc1', '1.0'], ['1.0b2', '1.0.post1']],
    ['pypi', '1!2.0', ['1!2.0.0'], ['2.0']],
    ['go', '>=1.2 <v1.10.0', ['v1.2.0', 'v1.9.0'], ['v1.10.0', 'v1.2.0-pre']],
    ['oci', 'sha256:ab*', ['sha256:abcd'], ['sha256:cdab']],
  ]
  for (const [format, range, inside, outside] of table)
    it(`${format}: ${range}`, () => {
      const includes = parseRange(range, grammarOf(format))
      for (const version of inside) assert.equal(includes(version), true, version)
      for (const version of outside) assert.equal(includes(version), false, version)
    })

  for (const [format, range] of [
    ['npm', '>='],
    ['npm', '>=one'],
    ['npm', 'latest'],
    ['npm', '>=<1.0.0'],
    ['npm', '>=1.*'],
    ['npm', ' , '],
    ['oci', '>=1.0'],
  ] as const)
    it(`${format}: ${JSON.stringify(range)} is refused`, () => {
      assert.throws(() => parseRange(range, grammarOf(format)), { kind: 'invalid' })
    })
})

it('a licence is named where there is no choice but to take it', () => {
  for (const [glob, licence, named] of [
    ['GPL-*', 'GPL-3.0-only', true],
    ['gpl-*', '(GPL-2.0 AND MIT)', true],
    ['GPL-*', 'GPL-2.0 WITH Classpath-exception-2.0', true],
    ['GPL-*', '(MIT OR GPL-3.0)', false],
    ['GPL-*', 'GPL-2.0 OR GPL-3.0', true],
    ['GPL-*', 'LGPL-3.0', false],
    ['*', '', false],
  ] as const)
    assert.equal(namesLicence(glob, licence), named, licence)
})

describe('a screen', () => {
  const judged = (name: string, version = '1.0.0', more = {}) => ({
    package: name,
    version,
    publishedAt: '2026-01-01T00:00:00.000Z',
    files: [],
    meta: '',
    ...more,
  })

  it('knows names in every spelling that the ecosystem has for one', () => {
    const reserves = (format: string, glob: string, name: string) =>
      new Screen('key', { ...NO_RULES, reservedNames: [glob] }, grammarOf(format)).reserves(name)
    assert.ok(reserves('pypi', 'Acme_*', 'acme-tool'))
    assert.ok(reserves('cargo', 'acme_*', 'acme-tool'))
    assert.ok(reserves('npm', '@acme/*', '@ACME/tool'))
    assert.ok(reserves('maven', 'com.acme*', 'com.acme.deep:lib'))
    assert.ok(!reserves('npm', '@acme/*', '@acme-other/tool'))
    assert.ok(!reserves('pypi', 'acme-*', 'notacme-x'))
  })

  it('blocks what fits everything that is said, and says why', () => {
    const digest = 'ab'.repeat(32) as Digest
    const screen = new Screen(
      'npm-all',
      {
        ...NO_RULES,
        blocked: [
          { name: 'left', versions: '<1.1', reason: 'it deletes the disk' },
          { digest, reason: 'malware' },
          { licence: 'AGPL-*', name: 'gift*', reason: 'not with us' },
        ],
      },
      grammarOf('npm'),
    )
    assert.equal(screen.block(judged('left'))?.reason, 'left@1.0.0 is blocked in npm-all: it deletes the disk')
    assert.equal(screen.block(judged('left', '1.1.0')), undefined)
    assert.equal(screen.block(judged('lefty')), undefined)
    const file = { path: 'x', offered: true as const, promised: { sha256: digest } }
    assert.match(screen.block(judged('any', '1.0.0', { files: [file] }))?.reason ?? '', /malware/)
    const entry = { meta: JSON.stringify({ license: 'AGPL-3.0' }) }
    assert.match(screen.block(judged('gift-wrap', '1.0.0', entry))?.reason ?? '', /not with us/)
    assert.equal(screen.block(judged('wrap', '1.0.0', entry)), undefined)
    const old = { meta: JSON.stringify({ licenses: [{ type: 'MIT' }, { type: 'AGPL-3.0' }] }) }
    assert.equal(screen.block(judged('gift-wrap', '1.0.0', old)), undefined)
  })

  it('lets a version wait for its days, and not longer', () => {
    const screen = new Screen(
      'slow',
      { ...NO_RULES, cooldownDays: 7, cooldownExceptions: ['@acme/*', 'left@>=2 <3'] },
      grammarOf('npm'),
    )
    const at = (time: string) => Date.parse(time)
    const refusal = screen.cooldown(judged('left'), at('2026-01-07T23:59:59Z'))
    assert.equal(
      refusal?.reason,
      'left@1.0.0 is of 2026-01-01T00:00Z and may be used from 2026-01-08T00:00Z on: slow waits 7 days',
    )
    assert.equal(refusal?.untilMs, at('2026-01-08T00:00:00Z'))
    assert.equal(screen.cooldown(judged('left'), at('2026-01-08T00:00:00Z')), undefined)
    assert.equal(screen.cooldown(judged('left', '2.1.0'), at('2026-01-02T00:00:00Z')), undefined)
    assert.ok(screen.cooldown(judged('left', '3.0.0'), at('2026-01-02T00:00:00Z')))
    assert.equal(screen.cooldown(judged('@acme/x'), at('2026-01-02T00:00:00Z')), undefined)
    assert.ok(screen.cooldown(judged('left', '1.0.0', { publishedAt: 'never' }), at('2030-01-01T00:00:00Z')))
  })
})
