/** Lock files as the real tools write them (in locks/, cut down and with the hosts of registries taken out), and bad ones. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { readLockFile } from '../../deploy/lock/lock-file.js'
import { packageRoot } from '../../deploy/root.js'
import { formats } from '../../formats/index.js'
import type { Locked, Platform } from '../../protocol/lock.js'

const LINUX: Platform = { os: 'linux', architecture: 'amd64' }
const at = (format: string, file: string): string => join(packageRoot(), 'test', 'formats', 'locks', format, file)

/** 'package version' and the beginning of each hash. */
function inShort({ package: name, version, files }: Locked): string {
  const sums = files.map(({ name: file, sums: all }) =>
    [file, ...all.map((sum) => sum.slice(0, sum.indexOf(':') + 7))].filter(Boolean).join(' '),
  )
  return [name, version, ...sums.filter((sum) => sum !== '')].join(' ')
}

const TREE = [
  '@esbuild/darwin-arm64 0.21.5 sha512:0f0a97',
  '@esbuild/linux-x64 0.21.5 sha512:d6b61d',
  'is-number 6.0.0 sha512:5aed55',
  'is-odd 3.0.0 sha512:db4e2f',
  'is-odd 3.0.1 sha512:090a67',
]
const WITHOUT_SUMS = TREE.map((line) => line.replace(/ sha512.*$/, ''))
const LINUX_ONLY = (line: string): boolean => !line.includes('darwin')

describe('lock files', () => {
  const readings: [format: string, file: string, found: string[], platform?: Platform][] = [
    ['npm', 'package-lock-v1.json', TREE],
    ['npm', 'package-lock-v2.json', TREE],
    ['npm', 'package-lock-v3.json', TREE],
    ['npm', 'package-lock-v3.json', TREE.filter(LINUX_ONLY), LINUX],
    ['npm', 'pnpm-lock-v5.yaml', TREE],
    ['npm', 'pnpm-lock-v6.yaml', TREE],
    ['npm', 'pnpm-lock-v9.yaml', TREE],
    ['npm', 'pnpm-lock-v9.yaml', TREE.filter(LINUX_ONLY), LINUX],
    ['npm', 'yarn-v1.lock', TREE],
    ['npm', 'yarn-v4.lock', WITHOUT_SUMS],
    ['npm', 'yarn-v4.lock', WITHOUT_SUMS.filter(LINUX_ONLY), LINUX],
    ['cargo', 'Cargo-v4.lock', ['itoa 1.0.11 sha256:49f1f1', 'semver 1.0.20 sha256:836fa6']],
    [
      'go',
      'go.sum',
      [
        'example.test/BurntSushi/toml v1.2.1 zip h1:9F2/+D mod h1:CxXYIN',
        'example.test/pkg/errors v0.9.1 zip h1:FEBLx1 mod h1:bwawxf',
      ],
    ],
    ['maven', 'gradle.lockfile', ['example.test:lib 1.2', 'example.test:util 2.0-jre']],
    [
      'maven',
      'verification-metadata.xml',
      ['example.test:lib 1.2 lib-1.2.jar sha256:aaaaaa sha256:bbbbbb lib-1.2.pom sha1:111111'],
    ],
  ]
  for (const [format, file, found, platform] of readings)
    it(`${file}${platform ? ` for ${platform.os}/${platform.architecture}` : ''}`, async () => {
      const { locked, elsewhere } = await readLockFile(at(format, file), { format, platform })
      assert.deepEqual(locked.map(inShort).sort(), [...found].sort())
      assert.deepEqual(elsewhere, [])
    })

  it('uv.lock, pylock.toml, poetry.lock and requirements.txt name the same hashes', async () => {
    const sumsOf = async (file: string, name: string): Promise<string[]> => {
      const { locked } = await readLockFile(at('pypi', file), { format: 'pypi' })
      return (locked.find((one) => one.package === name)?.files ?? []).flatMap(({ sums }) => sums).sort()
    }
    const sums = await sumsOf('uv.lock', 'markupsafe')
    assert.equal(sums.length, 5)
    for (const file of ['pylock.toml', 'poetry.lock', 'requirements.txt'])
      assert.deepEqual(await sumsOf(file, 'markupsafe'), sums, file)
    assert.equal((await sumsOf('uv.lock', 'zope-interface')).length, 2)
    assert.deepEqual(await sumsOf('requirements.txt', 'zope-interface'), await sumsOf('uv.lock', 'zope-interface'))
  })

  it("cargo's first kind has its checksums at the end; what comes from Git is from elsewhere", async () => {
    const { locked, elsewhere } = await readLockFile(at('cargo', 'Cargo-v1.lock'), { format: 'cargo' })
    assert.deepEqual(locked.map(inShort), ['itoa 1.0.11 sha256:49f1f1'])
    assert.deepEqual(elsewhere, ['taken (git+https://example.test/taken?rev=abc#abc)'])
  })

  const texts: [what: string, format: string, file: string, text: string, found: string[], elsewhere: string[]][] = [
    [
      'folders, links, bundles, aliases and Git repositories',
      'npm',
      'package-lock.json',
      JSON.stringify({
        lockfileVersion: 3,
        packages: {
          '': {},
          'packages/own': { version: '1.0.0' },
          'node_modules/own': { resolved: 'packages/own', link: true },
          'node_modules/a': { version: '1.0.0', resolved: 'https://example.test/any/where/@s%2fa/-/a-1.0.0.tgz' },
          'node_modules/a/node_modules/b': { version: '2.0.0', inBundle: true },
          'node_modules/c': { name: 'd', version: '3.0.0' },
          'node_modules/e': { version: '4.0.0', resolved: 'git+ssh://git@example.test/e.git#abc' },
          'node_modules/f': {
            version: '5.0.0',
            resolved: 'https://example.test/download/f/5.0.0',
            integrity: 'sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA=',
          },
          'node_modules/g': { version: '6.0.0', resolved: 'https://example.test/g/archive/abc' },
        },
      }),
      ['@s/a 1.0.0', 'd 3.0.0', 'f 5.0.0 sha1:000000'],
      ['e (git+ssh://git@example.test/e.git#abc)', 'g (https://example.test/g/archive/abc)'],
    ],
    [
      'references of images',
      'oci',
      'images.txt',
      `# ours\nlocalhost:5000/team/app:1.0\nexample.test/app@sha256:${'a'.repeat(64)}\nteam/base\n`,
      ['app sha256:aaaaaaa', 'team/app 1.0', 'team/base latest'].map((line) => line.replace('aaaaaaa', 'a'.repeat(64))),
      [],
    ],
    [
      'requirements without hashes, with markers, extras, options and addresses',
      'pypi',
      'requirements-dev.txt',
      '--index-url https://example.test/simple\nA_b[extra]==1.0.0 ; python_version > "3"  # why\nloose>=1\nc @ https://example.test/c.whl\n',
      ['a-b 1.0.0'],
      ['loose>=1', 'c @ https://example.test/c.whl'],
    ],
  ]
  for (const [what, format, file, text, found, elsewhere] of texts)
    it(what, () => {
      const reader = formats.find(({ name }) => name === format)?.lock?.files.find(({ name }) => name.test(file))
      const content = reader?.read(text)
      assert.deepEqual(content?.locked.map(inShort).sort(), found)
      assert.deepEqual(content?.elsewhere, elsewhere)
    })

  const bad: [format: string, file: string, text: string][] = [
    ['npm', 'package-lock.json', '{'],
    ['npm', 'package-lock.json', '[]'],
    ['npm', 'package-lock.json', '{"name":"a"}'],
    ['npm', 'pnpm-lock.yaml', 'a: b'],
    ['npm', 'yarn.lock', 'a: b'],
    ['npm', 'package-lock.json', JSON.stringify(nested(2000))],
    ['pypi', 'uv.lock', 'a = "b"'],
    ['pypi', 'poetry.lock', '[[package]'],
    ['cargo', 'Cargo.lock', ''],
    ['go', 'go.sum', 'not a sum'],
    ['maven', 'gradle.lockfile', 'not:coordinates'],
    ['maven', 'verification-metadata.xml', '<project/>'],
    ['maven', 'verification-metadata.xml', '<!DOCTYPE a><verification-metadata/>'],
    ['oci', 'images.txt', 'Not An Image'],
  ]
  for (const [format, file, text] of bad)
    it(`${file} is refused that says ${text.slice(0, 20)}`, () => {
      const reader = formats.find(({ name }) => name === format)?.lock?.files.find(({ name }) => name.test(file))
      assert.ok(reader)
      assert.throws(() => reader.read(text), { kind: 'invalid' })
    })

  it('a name that no lock file has is said, and another name can be given', async () => {
    await assert.rejects(readLockFile(at('npm', 'yarn-v1.lock'), { format: 'cargo' }), {
      code: 'usage',
      message: /yarn-v1.lock is not called like a lock file of cargo \(Cargo.lock\)/,
    })
    const text = await readFile(at('cargo', 'Cargo-v4.lock'), 'utf8')
    assert.match(text, /itoa/)
    const { locked } = await readLockFile(at('cargo', 'Cargo-v4.lock'), { format: 'cargo', name: 'Cargo.lock' })
    assert.equal(locked.length, 2)
  })
})

function nested(depth: number): object {
  let inner: object = { version: '1.0.0' }
  for (let i = 0; i < depth; i++) inner = { version: '1.0.0', dependencies: { a: inner } }
  return { lockfileVersion: 1, dependencies: { a: inner } }
}
