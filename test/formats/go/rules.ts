/**
 * Module zip files, good and bad, and what is to become of them. `theirs` is what golang.org/x/mod/zip says where it is not what
 * we say, and why: test/clients/go.test.ts asks that package itself.
 */
import { type ModuleDraft, moduleZip } from '../../support/go-module.js'

export interface Rule {
  what: string
  module: string
  version: string
  zip: Buffer
  accepted: boolean
  /** Their verdict, where it differs. */
  theirs?: { accepted: boolean; why: string }
}

const M = 'example.com/m'
const MEBI = 1024 * 1024
const STRICTER = 'the go command refuses it later, or another reader would see something else'

export function rules(): Rule[] {
  return [
    ...good.map(([what, draft]) => rule(what, draft, true)),
    ...bad.map(([what, draft]) => rule(what, draft, false)),
    ...stricter.map(([what, draft]) => ({ ...rule(what, draft, false), theirs: { accepted: true, why: STRICTER } })),
  ]
}

type Draft = Partial<ModuleDraft>

const good: [string, Draft][] = [
  ['an ordinary module', { files: { 'a.go': 'package a\n', 'b/b.go': 'package b\n' } }],
  ['a module without files', { goMod: null }],
  ['a folder entry for the module and one inside', { more: [{ name: `${M}@v1.0.0/` }, { name: `${M}@v1.0.0/b/` }] }],
  ['a folder that is named twice', { more: [{ name: `${M}@v1.0.0/b/` }, { name: `${M}@v1.0.0/b/` }] }],
  ['a file in a vendor folder', { files: { 'vendor/x/y.go': '' } }],
  ['letters of all alphabets', { files: { 'äöü.go': '', 'αβγ.go': '', '日本語.txt': '' } }],
  ['punctuation that is allowed', { files: { 'a!#$%&()+,-.=@[]^_{}~ b': '' } }],
  ['ß and ss', { files: { ß: '', ss: '' } }],
  ['i and dotless i', { files: { i: '', ı: '' } }],
  ['a file that begins with a dot', { files: { '.golangci.yml': '' } }],
  ['names like short names of Windows', { files: { 'long~1.txt': '' } }],
  ['a large license in another case', { files: { License: 'x'.repeat(17 * MEBI) } }],
  ['v2 with its suffix', { module: `${M}/v2`, version: 'v2.3.4' }],
  ['a version beyond all numbers', { module: `${M}/v99999999999999999999`, version: 'v99999999999999999999.0.0' }],
  ['v2 without a go.mod', { version: 'v2.0.0+incompatible', goMod: null }],
  ['a prerelease', { version: 'v1.0.0-rc.1.0' }],
  ['a prerelease in capitals', { version: 'v1.0.0-RC1' }],
  ['a pseudo-version', { version: 'v0.0.0-20260102150405-abcdef123456' }],
  ['capitals in the path', { module: 'github.com/Azure/SDK' }],
  ['gopkg.in', { module: 'gopkg.in/yaml.v2', version: 'v2.1.0' }],
  ['gopkg.in, v0', { module: 'gopkg.in/yaml.v0', version: 'v0.1.0' }],
  ['gopkg.in, unstable', { module: 'gopkg.in/yaml.v3-unstable', version: 'v3.0.0' }],
  ['an old pseudo-version of gopkg.in', { module: 'gopkg.in/check.v1', version: 'v0.0.0-20161208181325-20d25e280405' }],
  ['a path of one element', { module: 'example.com' }],
  ['an element that ends in digits', { module: 'example.com/mv2' }],
]

const bad: [string, Draft][] = [
  ['a file outside', { more: [{ name: 'other.txt' }] }],
  ['a file of another version', { more: [{ name: `${M}@v1.0.1/a.go` }] }],
  ['a file that climbs', { more: [{ name: `${M}@v1.0.0/../../a.go` }] }],
  ['a path that is not clean', { more: [{ name: `${M}@v1.0.0/./a.go` }] }],
  ['an empty element', { more: [{ name: `${M}@v1.0.0/b//a.go` }] }],
  ['files that differ by case', { files: { 'a.go': '', 'A.go': '' } }],
  ['folders that differ by case', { files: { 'b/a.go': '', 'B/c.go': '' } }],
  ['files that differ by case in Greek', { files: { σ: '', ς: '' } }],
  ['k and the sign for kelvin', { files: { k: '', '\u212a': '' } }],
  ['s and long s', { files: { s: '', ſ: '' } }],
  ['capital and small sharp s', { files: { ß: '', ẞ: '' } }],
  ['a file that is a folder too', { files: { a: '', 'a/b': '' } }],
  ['two files of one name', { files: { 'a.go': 'a' }, more: [{ name: `${M}@v1.0.0/a.go`, content: 'b' }] }],
  ['a go.mod in a folder', { files: { 'b/go.mod': `module ${M}/b\n` } }],
  ['a GO.MOD', { goMod: null, files: { 'GO.MOD': '' } }],
  ['a go.mod that is too large', { goMod: `module ${M}\n${'/'.repeat(16 * MEBI)}` }],
  ['a LICENSE that is too large', { files: { LICENSE: 'x'.repeat(16 * MEBI + 1) } }],
  ['a colon', { files: { 'a:b': '' } }],
  ['a quote', { files: { "a'b": '' } }],
  ['a star', { files: { '*.go': '' } }],
  ['a backslash', { more: [{ name: `${M}@v1.0.0/a\\b` }] }],
  ['an emoji', { files: { '\u{1f600}.txt': '' } }],
  ['a digit of another alphabet', { files: { '٣.txt': '' } }],
  ['a name that ends with a dot', { files: { 'a.': '' } }],
  ['a name of dots', { files: { '.../a': '' } }],
  ['a device of Windows', { files: { 'aux.go': '' } }],
  ['a device of Windows in capitals', { files: { 'b/COM1': '' } }],
  ['v2 without its suffix', { version: 'v2.0.0' }],
  ['v1 with a suffix', { module: `${M}/v2`, version: 'v1.0.0' }],
  ['/v1', { module: `${M}/v1` }],
  ['/v0', { module: `${M}/v0`, version: 'v0.1.0' }],
  ['/v02', { module: `${M}/v02`, version: 'v2.0.0' }],
  ['/v2.1', { module: `${M}/v2.1`, version: 'v2.1.0' }],
  ['gopkg.in without a version', { module: 'gopkg.in/yaml', version: 'v1.0.0' }],
  ['gopkg.in with another version', { module: 'gopkg.in/yaml.v2', version: 'v1.0.0' }],
  ['a version without v', { version: '1.0.0' }],
  ['a short version', { version: 'v1.0' }],
  ['a version with build', { version: 'v1.0.0+build' }],
  ['a version with a leading zero', { version: 'v1.01.0' }],
  ['a prerelease with a leading zero', { version: 'v1.0.0-rc.01' }],
  ['an empty part of a prerelease', { version: 'v1.0.0-rc..1' }],
  ['a path without a dot', { module: 'example/m' }],
  ['a path that begins with a dash', { module: '-example.com/m' }],
  ['a domain in capitals', { module: 'Example.com/m' }],
  ['an underscore in the domain', { module: 'ex_ample.com/m' }],
  ['an element that begins with a dot', { module: 'example.com/.m' }],
  ['an element that ends with a dot', { module: 'example.com/m.' }],
  ['a short name of Windows in the path', { module: 'example.com/m~1' }],
  ['a device in the path', { module: 'example.com/con' }],
  ['a plus in the path', { module: 'example.com/m++' }],
  ['a space in the path', { module: 'example.com/m m' }],
  ['a letter of another alphabet in the path', { module: 'example.com/µ' }],
  ['an archive that is cut', { archive: { patchEnd: (end) => end.writeUInt16LE(7, 20) } }],
  [
    'a directory that is cut short',
    { more: [{ name: `${M}@v1.0.0/a`, patchDirectory: (h) => h.writeUInt32LE(1, 0) }] },
  ],
]

const stricter: [string, Draft][] = [
  ['+incompatible v1', { version: 'v1.0.0+incompatible', goMod: null }],
  ['+incompatible with a suffix', { module: `${M}/v2`, version: 'v2.0.0+incompatible', goMod: null }],
  ['a pseudo-version of no time', { version: 'v0.0.0-20261402150405-abcdef123456' }],
  ['a pseudo-version before all versions', { version: 'v1.2.0-0.20260102150405-abcdef123456' }],
  ['a symbolic link', { more: [{ name: `${M}@v1.0.0/a`, content: 'b', mode: 0o120777 }] }],
  [
    'a wrong checksum',
    { more: [{ name: `${M}@v1.0.0/a`, content: 'b', patchDirectory: (h) => h.writeUInt32LE(1, 16) }] },
  ],
  ['a wrong size', { more: [{ name: `${M}@v1.0.0/a`, content: 'b', patchDirectory: (h) => h.writeUInt32LE(2, 24) }] }],
  [
    'another name at its place',
    { more: [{ name: `${M}@v1.0.0/a`, content: 'b', patchLocal: (h) => h.writeUInt16LE(1, 26) }] },
  ],
  ['a bomb', { files: { zeros: '\0'.repeat(70 * MEBI) } }],
  ['+incompatible with a go.mod', { version: 'v2.0.0+incompatible' }],
  ['a go.mod of another module', { goMod: 'module example.com/other\n' }],
  ['a go.mod without a module', { goMod: 'go 1.18\n' }],
  ['a go.mod that is no text', { goMod: '\0\0\0\ufffe"' }],
]

function rule(what: string, draft: Draft, accepted: boolean): Rule {
  const whole = { module: M, version: 'v1.0.0', ...draft }
  return { what, module: whole.module, version: whole.version, zip: moduleZip(whole), accepted }
}
