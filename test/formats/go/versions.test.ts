import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { escapeCase, unescapeCase } from '../../../formats/go/escape.js'
import { compareVersions, parseVersion, type Version } from '../../../formats/go/version.js'
import { ORDERED } from './versions.js'

const versionOf = (text: string): Version => {
  const version = parseVersion(text)
  assert.ok(version, text)
  return version
}

it('versions are compared as semantic versions are', () => {
  const sorted = [...ORDERED].reverse().map(versionOf).sort(compareVersions)
  assert.deepEqual(
    sorted.map(({ text }) => text),
    ORDERED,
  )
})

describe('names are escaped so that no disk confuses them', () => {
  for (const [name, escaped] of [
    ['github.com/Azure/azure-SDK', 'github.com/!azure/azure-!s!d!k'],
    ['example.com/m', 'example.com/m'],
    ['v1.0.0-RC1', 'v1.0.0-!r!c1'],
  ] as const)
    it(name, () => {
      assert.equal(escapeCase(name), escaped)
      assert.equal(unescapeCase(escaped), name)
    })
  for (const wrong of ['example.com/M', 'a!', 'a!B', 'a!!b', 'a!1', 'é'])
    it(`${wrong} is the escaped name of nothing`, () => assert.equal(unescapeCase(wrong), undefined))
})
