/** The order of versions: the cases that Maven documents, and, where Maven is installed, its own class over the same versions. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { packageRoot } from '../../../deploy/root.js'
import { compareVersions, sortVersions } from '../../../formats/maven/version-order.js'

/** Each row from old to new. Of Maven's POM reference, its own tests, and its wiki. */
const ASCENDING = [
  ['1-alpha2snapshot', '1-alpha2', '1-alpha-123', '1-beta-2', '1-beta123', '1-m2', '1-m11', '1-rc', '1-cr2', '1-rc123'],
  ['1-rc123', '1-SNAPSHOT', '1', '1-sp', '1-sp2', '1-sp123', '1-abc', '1-def', '1-pom-1', '1-1-snapshot', '1-1', '1-2'],
  ['2.0', '2.0.a', '2-1', '2.0.2', '2.0.123', '2.1.0', '2.1-a', '2.1b', '2.1-c', '2.1-1', '2.1.0.1', '2.2', '2.123'],
  ['11.a2', '11.a11', '11.b2', '11.b11', '11.m2', '11.m11', '11', '11.a', '11b', '11c', '11m'],
  ['1', '1.1', '1.2', '1.10'],
  ['1-foo', '1-foo1', '1-foo2', '1-foo10'],
  ['1.0-alpha-1', '1.0', '1.0-1', '1.0.1'],
  ['1.0-alpha', '1.0-beta', '1.0-SNAPSHOT', '1.0', '1.0-whatever'],
  ['2.0.1-xyz', '2.0.1-123'],
  ['2.0.1', '2.0.1-123'],
  ['20190126.230843', '10000000000', '10000000000000000000000', '10000000000000000000000.1'],
  ['1-20261120.042440-1', '1-20261120.042440-2', '1-20261120.042441-1'],
  ['0.7', '2'],
  ['1.0.0-RC1', '1.0.0-RC2', '1.0.0.Final', '1.0.1.Final'],
  ['1.2.3.Beta1', '1.2.3.CR1', '1.2.3.Final', '1.2.3.SP1'],
  ['6.1.0rc3', '6.1.0', '6.1H.5-beta'],
]
const EQUAL = [
  ['1', '1.0', '1.0.0', '1-0', '1.0-0', '1.ga', '1-final', '1.0-release', '1.0.0-GA', '1.FINAL'],
  ['1a1', '1-alpha-1'],
  ['1b2', '1-beta-2', '1.0.0-BETA2'],
  ['1m3', '1Milestone3', '1-milestone-3'],
  ['1x', '1.0x', '1.0.0-x', '1.x'],
  ['1cr', '1rc', '1.0-RC'],
  ['1.00', '1', '01'],
  ['0.0.0.0.0', '0'],
]

describe('the order of versions', () => {
  for (const row of ASCENDING)
    it(`${row.join(' < ')}`, () => {
      for (const [i, lower] of row.entries())
        for (const higher of row.slice(i + 1)) {
          assert.ok(compareVersions(lower, higher) < 0, `${lower} < ${higher}`)
          assert.ok(compareVersions(higher, lower) > 0, `${higher} > ${lower}`)
        }
    })
  for (const row of EQUAL)
    it(`${row.join(' = ')}`, () => {
      for (const one of row) for (const other of row) assert.equal(compareVersions(one, other), 0, `${one} = ${other}`)
    })
  it('sorts, and keeps equal ones in a fixed order', () => {
    assert.deepEqual(sortVersions(['1.10', '1.0', '1.9', '1', '1.10-rc1']), ['1', '1.0', '1.9', '1.10-rc1', '1.10'])
  })
  it('takes anything', () => {
    for (const odd of ['', '-', '.', '..', '-.-', '1-', '1.', 'ä', '1.ä', '9'.repeat(255), 'a-'.repeat(127)])
      assert.equal(compareVersions(odd, odd), 0)
  })
})

const CLASSES = join(packageRoot(), '.build', 'clients', 'apache-maven-3', 'lib', 'maven-artifact-3.9.16.jar')
const skip =
  existsSync(CLASSES) || process.env.CI === 'true' ? false : 'Maven 3.9 is not installed; .ci/run installs it'

it("agrees with Maven's own class about hundreds of versions", { skip }, () => {
  const versions = [...new Set([...ASCENDING.flat(), ...EQUAL.flat(), ...combinations()])]
  const pairs = versions.flatMap((one, i) => [[one, versions[(i * 7 + 1) % versions.length] ?? one] as const])
  const said = askMaven(pairs.flat())
  const wrong = pairs.flatMap(([one, other]) => {
    const sign = Math.sign(compareVersions(one, other))
    return said.get(`${one} ${other}`) === sign
      ? []
      : [`${one} ? ${other}: Maven ${said.get(`${one} ${other}`)}, here ${sign}`]
  })
  assert.deepEqual(wrong, [])
})

/** It compares each argument with the one before, and prints "   1 < 2". */
function askMaven(versions: string[]): Map<string, number> {
  const name = 'org.apache.maven.artifact.versioning.ComparableVersion'
  const output = execFileSync('java', ['-cp', CLASSES, name, ...versions], { encoding: 'utf8' })
  const signs: Record<string, number> = { '<': -1, '==': 0, '>': 1 }
  return new Map(
    [...output.matchAll(/^ {3}(\S+) (<|==|>) (\S+)$/gm)].map(([, one, sign = '', other]) => [
      `${one} ${other}`,
      signs[sign] ?? Number.NaN,
    ]),
  )
}

function* combinations(): Iterable<string> {
  const parts = ['1', '0', 'a', 'rc', 'x', 'final', 'SNAPSHOT', '10', 'sp']
  for (const one of ['1', '0', 'b'])
    for (const s1 of ['.', '-', ''])
      for (const two of parts)
        for (const s2 of ['.', '-', '--', '']) for (const three of ['', ...parts]) yield one + s1 + two + s2 + three
}
