import { type ModuleDraft, moduleUrl, moduleZip } from '../support/go-module.js'
import { type Row, type Sent, shown, type Table, zips } from './rows.js'

const M = 'example.com/any'
const own: ModuleDraft = { module: M, version: 'v1.0.0' }
const put = (body: Uint8Array, path = moduleUrl(M, 'v1.0.0.zip')): Sent => ({
  method: 'PUT',
  path: `/repository/bad-go${path}`,
  body,
})
const module = (what: string, draft: Partial<ModuleDraft>): Row => ({
  what,
  send: () => put(moduleZip({ ...own, ...draft })),
})
const at = (what: string, path: string): Row => ({ what, send: () => put(moduleZip(own), path), statuses: [400, 404] })

const versions = [
  'latest',
  'master',
  '1.0.0',
  'v1',
  'v1.0',
  'v01.0.0',
  'v1.0.0+build',
  'v1.0.0-',
  'v2.0.0',
  'v1.0.0-../x',
]

export const goRows: Table = {
  format: 'go',
  sentence: (body) => body.trim(),
  rows: [
    ...zips(`${M}@v1.0.0/`, [{ name: `${M}@v1.0.0/go.mod`, content: `module ${M}\n` }]).map(([what, bytes]) => ({
      what,
      send: () => put(bytes()),
    })),
    module('I07 another module inside', { module: 'example.com/other' }),
    module('I07 another version inside', { version: 'v1.0.1' }),
    module('I07 a go.mod of another module', { goMod: 'module example.com/other\n' }),
    module('a go.mod that says nothing', { goMod: '// nothing\n' }),
    module('a go.mod of twenty megabytes', { goMod: `module ${M}\n${'// x\n'.repeat(4_000_000)}` }),
    module('a go.mod of brackets', { goMod: `module ${M}\n${'require (\n'.repeat(100_000)}` }),
    module('a second go.mod in another case', { files: { 'GO.MOD': 'module x\n' } }),
    module('two files that differ by case', { files: { 'a.go': 'a', 'A.go': 'b' } }),
    module('a file named as a device of Windows', { files: { 'con.txt': 'a' } }),
    ...versions.map((version) =>
      at(`K10 the version ${shown(version)}`, moduleUrl(M, `${encodeURIComponent(version)}.zip`)),
    ),
    at('B10 two marks for a capital', '/example.com/!!a/@v/v1.0.0.zip'),
    at('B10 a capital that is not escaped', '/example.com/Any/@v/v1.0.0.zip'),
    at('B10 a path that climbs', '/example.com/any/@v/..%2f..%2fother/@v/v1.0.0.zip'),
    at('a host without a dot', '/any/@v/v1.0.0.zip'),
    at('a letter from elsewhere', '/example.com/%D0%B0ny/@v/v1.0.0.zip'),
    at('O07 a path of ten kilobytes', `/example.com/${'x'.repeat(10_000)}/@v/v1.0.0.zip`),
  ],
}
