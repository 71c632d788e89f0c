/**
 * The go command: modules are published to the primary, downloaded, listed and built from node 1, from a private repository with
 * credentials, and with the primary stopped and nothing in its caches from node 2. The rules for zip files are asked of Go itself.
 */
import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { GoMod } from '../../formats/go/go-mod.js'
import { GO_MODS } from '../formats/go/go-mods.js'
import { rules } from '../formats/go/rules.js'
import { ORDERED } from '../formats/go/versions.js'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { type ModuleDraft, moduleUrl, moduleZip } from '../support/go-module.js'
import { type TlsFront, tlsFront } from '../support/tls-front.js'
import { type Client, fails, missing, newHome, program, run, succeeds } from './client.js'

const GO = program('go')
const GIT = program('git')
const CURL = program('curl')
const only = missing(GO)
const BUILD_MS = 120_000

const LIB = 'example.com/clients/Lib'
const OTHER = 'example.com/clients/other/v2'
const NAKED = 'example.com/clients/naked'
const PSEUDO = 'v1.2.1-0.20260102150405-abcdef123456'
const lib = (version: string, goMod = `module ${LIB}\n\ngo 1.18\n`): ModuleDraft => ({
  module: LIB,
  version,
  goMod,
  files: { 'lib.go': `package lib\n\nconst Version = ${JSON.stringify(version)}\n` },
})
const other: ModuleDraft = {
  module: OTHER,
  version: 'v2.1.0',
  goMod: `module ${OTHER}\n\ngo 1.18\n\nrequire ${LIB} v1.1.0\n`,
  files: { 'other.go': `package other\n\nimport lib "${LIB}"\n\nconst Name = "other with " + lib.Version\n` },
  // As other tools write them: folders have entries of their own.
  more: [{ name: `${OTHER}@v2.1.0/` }, { name: `${OTHER}@v2.1.0/testdata/` }],
}
const naked = (version: string): ModuleDraft => ({
  module: NAKED,
  version,
  goMod: null,
  files: { 'naked.go': 'package naked\n' },
})
const PUBLISHED = [
  ...['v1.0.0', 'v1.1.0', 'v1.2.0', 'v1.3.0-rc.1', PSEUDO].map((version) => lib(version)),
  lib('v1.4.0', `module ${LIB}\n\ngo 1.18\n\nretract v1.4.0 // published by mistake\n`),
  other,
  naked('v1.0.0'),
  naked('v2.0.0+incompatible'),
]

describe('the go command', { timeout: 300_000 }, () => {
  let fleet: TestFleet
  const sums = new Map<string, { sum: string; go_mod_sum: string }>()
  const at = (index: number, key = 'go-clients') => `${fleet.nodeUrls[index]}/repository/${key}`

  before(async () => {
    fleet = await testFleet({ nodes: 2 })
    for (const [key, is_public] of [
      ['go-clients', true],
      ['go-empty', true],
      ['go-closed', false],
    ])
      await fleet.api('POST', '/api/v1/repositories', { key, name: key, format: 'go', repo_type: 'local', is_public })
    for (const draft of PUBLISHED) sums.set(`${draft.module}@${draft.version}`, await published('go-clients', draft))
    await published('go-closed', {
      ...lib('v1.0.0', 'module example.com/closed/lib\n'),
      module: 'example.com/closed/lib',
    })
    const newest = moduleUrl(NAKED, 'v2.0.0+incompatible.info')
    for (const index of [0, 1]) await until(async () => (await fetch(at(index) + newest)).status === 200)
    const closed = moduleUrl('example.com/closed/lib', 'list')
    const headers = { authorization: fleet.admin }
    await until(async () => (await fetch(at(0, 'go-closed') + closed, { headers })).status === 200)
  })
  after(() => fleet.close())

  it('downloads every module, and computes the checksums that publishing named', only, async () => {
    const options = await consumer(at(0))
    const names = [...sums.keys()]
    const output = await succeeds(GO, ['mod', 'download', '-json', ...names], options)
    const downloaded = objects(output)
    assert.equal(downloaded.length, names.length)
    for (const { Path, Version, Sum, GoModSum } of downloaded)
      assert.deepEqual({ sum: Sum, go_mod_sum: GoModSum }, sums.get(`${Path}@${Version}`), `${Path}@${Version}`)
  })

  it('lists versions in order, and sees what is retracted and newer', only, async () => {
    const options = await consumer(at(0))
    assert.equal(
      await succeeds(GO, ['list', '-m', '-versions', LIB], options),
      `${LIB} v1.0.0 v1.1.0 v1.2.0 v1.3.0-rc.1\n`,
    )
    assert.match(await succeeds(GO, ['list', '-m', '-versions', '-retracted', LIB], options), / v1\.4\.0\n$/)
    await succeeds(GO, ['get', `${LIB}@v1.4.0`], options)
    assert.match(await succeeds(GO, ['list', '-m', '-u', 'all'], options), /v1\.4\.0 \(retracted\)/)
    await succeeds(GO, ['get', `${LIB}@v1.0.0`], options)
    assert.match(await succeeds(GO, ['list', '-m', '-u', 'all'], options), /v1\.0\.0 \[v1\.2\.0\]/)
    assert.equal(
      await succeeds(GO, ['list', '-m', '-versions', NAKED], options),
      `${NAKED} v1.0.0 v2.0.0+incompatible\n`,
    )
  })

  for (const [query, version] of [
    ['', 'v1.2.0'],
    ['@latest', 'v1.2.0'],
    ['@v1.1', 'v1.1.0'],
    ['@<v1.1.0', 'v1.0.0'],
    ['@abcdef1', PSEUDO],
    ['@v1.3.0-rc.1', 'v1.3.0-rc.1'],
  ] as const)
    it(`gets ${LIB}${query} as ${version}`, only, async () => {
      const options = await consumer(at(0))
      await succeeds(GO, ['get', LIB + query], options)
      assert.match(
        await readFile(join(options.cwd, 'go.mod'), 'utf8'),
        new RegExp(`${LIB} ${version.replace('+', '\\+')}\\b`),
      )
    })

  it('gets v2 of a module without a go.mod as +incompatible', only, async () => {
    const options = await consumer(at(0))
    await succeeds(GO, ['get', `${NAKED}@v2.0.0`], options)
    assert.match(await readFile(join(options.cwd, 'go.mod'), 'utf8'), /naked v2\.0\.0\+incompatible/)
  })

  it('finds the module of a package, and is told in words what is not there', only, async () => {
    const options = await consumer(at(0))
    const said = await fails(GO, ['get', `${LIB}/none/at/all`], options)
    assert.match(said, /v1\.2\.0\)?, but does not contain package/)
    assert.match(
      await fails(GO, ['get', 'example.com/clients/none'], options),
      /404[\s\S]*not found: there is no module/,
    )
    assert.match(await fails(GO, ['get', `${LIB}@v9.0.0`], options), /not found: there is no version v9\.0\.0/)
  })

  it('goes on to the next proxy for what is not here', only, async () => {
    const options = await consumer(`${at(0, 'go-empty')},${at(0)}`)
    await succeeds(GO, ['get', LIB], options)
  })

  it('builds a program from modules that need each other', only, async () => builds(at(0)))

  it('refuses bytes that go.sum does not name', only, async () => {
    const options = await consumer(at(0))
    await succeeds(GO, ['get', LIB], options)
    const sum = join(options.cwd, 'go.sum')
    await writeFile(sum, (await readFile(sum, 'utf8')).replace(/h1:../g, 'h1:zz'))
    assert.match(await fails(GO, ['mod', 'download'], { ...options, home: await home(at(0)) }), /SECURITY ERROR/)
  })

  it('uses what git archive makes of a tag and curl sends, as the snippet says', {
    skip: only.skip || missing(GIT).skip || missing(CURL).skip,
  }, async () => {
    const cwd = await mkdtemp(join(fleet.dir, 'repository-'))
    const options = { cwd, home: await home(at(0)) }
    const module = 'example.com/clients/tagged'
    await writeFile(join(cwd, 'go.mod'), `module ${module}\n\ngo 1.18\n`)
    await mkdir(join(cwd, 'sub'))
    await writeFile(join(cwd, 'sub', 'sub.go'), 'package sub\n')
    const git = (...args: string[]) =>
      succeeds(GIT, ['-c', 'user.name=a', '-c', 'user.email=a@example.test', ...args], options)
    await git('init', '-q')
    await git('add', '.')
    await git('commit', '-q', '-m', 'first')
    await git('tag', 'v0.1.0')
    await git('archive', '-o', 'module.zip', `--prefix=${module}@v0.1.0/`, 'v0.1.0')
    const url = `${at(0)}/${module}/@v/v0.1.0.zip`
    const login = ['-u', `admin:${fleet.admin.replace('Bearer ', '')}`]
    const { sum } = JSON.parse(
      await succeeds(CURL, ['-sS', '--fail-with-body', ...login, '-T', 'module.zip', url], options),
    )
    const { cwd: folder, ...rest } = await consumer(at(0))
    const [downloaded] = objects(
      await succeeds(GO, ['mod', 'download', '-json', `${module}@v0.1.0`], { cwd: folder, ...rest }),
    )
    assert.equal(downloaded?.Sum, sum)
  })

  describe('with credentials', () => {
    let front: TlsFront
    let trusting: Client
    before(async () => {
      front = await tlsFront(fleet.dir, fleet.nodeUrls[0] ?? '')
      trusting = { ...GO, command: GO.command && ['/usr/bin/env', `SSL_CERT_FILE=${front.certificate}`, ...GO.command] }
    })
    after(() => front.close())
    const closed = () => `${front.url}/repository/go-closed`
    const token = () => fleet.admin.replace('Bearer ', '')
    const GET = ['get', 'example.com/closed/lib']

    it('a private repository is closed to who has none', only, async () => {
      assert.match(await fails(trusting, GET, await consumer(closed())), /401 Unauthorized/)
    })

    it('those of a .netrc are used', only, async () => {
      const options = await consumer(closed())
      // Up to Go 1.23 a machine is a name, from 1.24 on it is as in the URL.
      const machines = [new URL(front.url).host, '127.0.0.1']
      const netrc = machines
        .map(
          (machine) => `machine ${machine} login admin password ${token()}
`,
        )
        .join('')
      await writeFile(join(options.home, '.netrc'), netrc, { mode: 0o600 })
      await succeeds(trusting, GET, options)
    })

    it('those in the URL are used', only, async () => {
      await succeeds(trusting, GET, await consumer(closed().replace('://', `://admin:${token()}@`)))
    })

    it('those of a GOAUTH command are used', only, async (t) => {
      const options = await consumer(closed())
      if (minor(await succeeds(GO, ['version'], options)) < 24) return t.skip('GOAUTH needs Go 1.24')
      const script = join(options.home, 'auth')
      const basic = Buffer.from(`admin:${token()}`).toString('base64')
      await writeFile(script, `#!/bin/sh\nprintf '%s\\n\\nAuthorization: Basic %s\\n\\n' '${front.url}' '${basic}'\n`, {
        mode: 0o755,
      })
      await writeFile(join(options.home, '.config', 'go', 'env'), `${await environment(closed())}GOAUTH=${script}\n`)
      await succeeds(trusting, GET, options)
    })
  })

  it('and golang.org/x/mod/zip agree on what is a module, a go.mod and the order of versions', only, async () => {
    const cwd = await mkdtemp(join(fleet.dir, 'rules-'))
    const options = { cwd, home: await home(at(0)), deadlineMs: BUILD_MS }
    const root = (await succeeds(GO, ['env', 'GOROOT'], options)).trim()
    await cp(join(root, 'src/cmd/vendor/golang.org/x/mod'), join(cwd, 'mod'), { recursive: true })
    const language = `go 1.${minor(await succeeds(GO, ['version'], options))}`
    await writeFile(join(cwd, 'mod', 'go.mod'), `module golang.org/x/mod\n\n${language}\n`)
    await writeFile(
      join(cwd, 'go.mod'),
      `module rules\n\n${language}\n\nrequire golang.org/x/mod v0.0.0\n\nreplace golang.org/x/mod => ./mod\n`,
    )
    await writeFile(join(cwd, 'main.go'), JUDGE)
    const cases = rules()
    const drafts = await Promise.all(
      cases.map(async ({ module, version, zip }, i) => {
        await writeFile(join(cwd, `${i}.zip`), zip)
        return { module, version, file: `${i}.zip` }
      }),
    )
    const asked = { zips: drafts, mods: GO_MODS.map(([text]) => text), versions: [...ORDERED].reverse() }
    await writeFile(join(cwd, 'asked.json'), JSON.stringify(asked))
    const { verdicts, mods, versions } = JSON.parse(await succeeds(GO, ['run', '.'], options)) as Judged
    const wrong = cases.flatMap(({ what, accepted, theirs }, i) =>
      (verdicts[i] === '') === (theirs?.accepted ?? accepted) ? [] : [`${what}: ${verdicts[i] || 'accepted'}`],
    )
    assert.deepEqual(wrong, [])
    GO_MODS.forEach(([text, said], i) => {
      assert.deepEqual(mods[i] ?? undefined, said, text)
    })
    assert.deepEqual(versions, ORDERED)
  })

  describe('with the primary stopped', () => {
    before(() => fleet.stopPrimary())

    it('builds from node 2 with empty caches', only, async () => builds(at(1)))
  })

  async function builds(proxy: string): Promise<void> {
    const options = { ...(await consumer(proxy)), deadlineMs: BUILD_MS }
    await writeFile(
      join(options.cwd, 'main.go'),
      `package main\n\nimport (\n\tlib "${LIB}"\n\t"${OTHER}"\n)\n\nfunc main() { println(lib.Version + ", " + other.Name) }\n`,
    )
    await succeeds(GO, ['get', OTHER, `${LIB}@v1.2.0`], options)
    await succeeds(GO, ['build', '-o', 'consumer', '.'], options)
    const built: Client = { name: 'consumer', command: [join(options.cwd, 'consumer')] }
    assert.equal((await run(built, [], options)).output, 'v1.2.0, other with v1.2.0\n')
  }

  /** An empty module in a home of its own. */
  async function consumer(proxy: string): Promise<{ cwd: string; home: string }> {
    const cwd = await mkdtemp(join(fleet.dir, 'consumer-'))
    await writeFile(join(cwd, 'go.mod'), 'module example.com/consumer\n\ngo 1.18\n')
    return { cwd, home: await home(proxy) }
  }

  async function home(proxy: string): Promise<string> {
    const made = await newHome(fleet.dir)
    const file = join(made, '.config', 'go', 'env')
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, await environment(proxy))
    return made
  }

  /** What was compiled once serves all; modules and settings do not. */
  async function environment(proxy: string): Promise<string> {
    const settings = {
      GOPROXY: proxy,
      GONOSUMDB: 'example.com',
      GOFLAGS: '-modcacherw',
      GOTOOLCHAIN: 'local',
      GOCACHE: join(fleet.dir, 'go-build'),
    }
    return Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join('')
  }

  async function published(key: string, draft: ModuleDraft): Promise<{ sum: string; go_mod_sum: string }> {
    const url = `${fleet.primaryUrl}/repository/${key}${moduleUrl(draft.module, `${draft.version}.zip`)}`
    const init = { method: 'PUT', headers: { authorization: fleet.admin }, body: moduleZip(draft) }
    const reply = await fetch(url, init as RequestInit)
    const said = await reply.text()
    assert.equal(reply.status, 201, said)
    const { sum, go_mod_sum } = JSON.parse(said) as Record<string, string>
    return { sum: sum ?? '', go_mod_sum: go_mod_sum ?? '' }
  }
})

/** go writes one object after another. */
function objects(output: string): Record<string, string>[] {
  return JSON.parse(`[${output.replace(/\}\s*\{/g, '},{')}]`) as Record<string, string>[]
}

function minor(version: string): number {
  return Number(/go1\.(\d+)/.exec(version)?.[1] ?? 0)
}

interface Judged {
  /** '' for a zip file that is accepted. */
  verdicts: string[]
  mods: (GoMod | null)[]
  versions: string[]
}

const JUDGE = `package main

import (
	"encoding/json"
	"os"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/zip"
)

type mod struct {
	Module    string      \`json:"module"\`
	Retracted [][2]string \`json:"retracted"\`
}

func canonical(version string) bool {
	return version == module.CanonicalVersion(version)
}

func read(text string) *mod {
	file, err := modfile.ParseLax("go.mod", []byte(text), nil)
	if err != nil || file.Module == nil {
		return nil
	}
	said := &mod{file.Module.Mod.Path, [][2]string{}}
	for _, r := range file.Retract {
		if canonical(r.Low) && canonical(r.High) {
			said.Retracted = append(said.Retracted, [2]string{r.Low, r.High})
		}
	}
	return said
}

func main() {
	var asked struct {
		Zips     []struct{ Module, Version, File string }
		Mods     []string
		Versions []string
	}
	data, err := os.ReadFile("asked.json")
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(data, &asked); err != nil {
		panic(err)
	}
	verdicts := []string{}
	for _, z := range asked.Zips {
		verdict := ""
		if _, err := zip.CheckZip(module.Version{Path: z.Module, Version: z.Version}, z.File); err != nil {
			verdict = err.Error()
		}
		verdicts = append(verdicts, verdict)
	}
	mods := []*mod{}
	for _, text := range asked.Mods {
		mods = append(mods, read(text))
	}
	semver.Sort(asked.Versions)
	json.NewEncoder(os.Stdout).Encode(map[string]any{"verdicts": verdicts, "mods": mods, "versions": asked.Versions})
}
`
