/**
 * What uploads and installs Python packages, for real: twine, uv, flit, hatch and poetry publish (to the primary and through
 * a node), pip of two ages and uv install from node 1, and with the primary stopped and nothing in its caches from node 2.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { moduleOf, type Project, sdist, type Upload, wheel } from '../support/python-package.js'
import { type Client, fails, missing, newHome, ofPython, program, type RunOptions, succeeds } from './client.js'

const PUBLIC = 'pypi-clients'
const PRIVATE = 'pypi-private'

const PYTHON = program('python3')
const PIP = ofPython('pip')
const UV = ofPython('uv')
const TWINE = ofPython('twine')
const FLIT = ofPython('flit')
const HATCH = ofPython('hatch')
const POETRY = ofPython('poetry')

const leaf: Project = { name: 'Cairn.Leaf', version: '1.0', requiresPython: '>=3.7' }
const newer: Project = { ...leaf, version: '1.1' }
const yanked: Project = { ...leaf, version: '1.2' }
const tooNew: Project = { ...leaf, version: '3.0', requiresPython: '>=9' }
const branch: Project = { name: 'cairn-branch', version: '2.0', requires: ['cairn_leaf>=1.0,<2'] }

// Twine publishes what the others install.
describe('Python clients', { timeout: 480_000, ...missing(TWINE) }, () => {
  let fleet: TestFleet
  let token: string
  /** The one that Python brings, on Debian an old one, in a fresh environment. */
  const bundled: Client = { name: "Python's own pip", command: undefined }
  const base = (url: string | undefined, key = PUBLIC) => `${url}/repository/${key}`
  const simple = (index: number, key = PUBLIC) => `${base(fleet.nodeUrls[index], key)}/simple/`

  before(async () => {
    fleet = await testFleet({ nodes: 2 })
    for (const key of [PUBLIC, PRIVATE]) {
      const draft = { key, name: key, format: 'pypi', repo_type: 'local', is_public: key === PUBLIC }
      await fleet.api('POST', '/api/v1/repositories', draft)
    }
    token = fleet.admin.replace('Bearer ', '')
    if (!PYTHON.command) return
    const environment = join(fleet.dir, 'environment')
    await succeeds(PYTHON, ['-m', 'venv', environment], await place())
    bundled.command = [join(environment, 'bin', 'python'), '-m', 'pip']
  })
  after(() => fleet.close())

  const place = async () => ({ cwd: await mkdtemp(join(fleet.dir, 'work-')), home: await newHome(fleet.dir) })

  describe('publishing', () => {
    it('twine uploads wheels and source archives to the primary', missing(TWINE), async () => {
      for (const project of [leaf, newer, yanked, tooNew])
        await twine([wheel(project), ...(project === leaf ? [sdist(project)] : [])])
      const reply = await fetch(`${base(fleet.primaryUrl)}/pypi/cairn-leaf/1.2/yank`, {
        method: 'PUT',
        headers: { authorization: fleet.admin },
        body: 'broken',
      })
      assert.equal(reply.status, 204)
    })

    it('twine is told when other bytes have the name; the same bytes again are fine', missing(TWINE), async () => {
      const options = await place()
      const args = await twineArgs([wheel({ ...leaf, summary: 'other bytes' })], options.cwd)
      assert.match(await fails(TWINE, args, options), /409/)
      await twine([wheel(leaf)])
    })

    it('uv publishes through a node', missing(UV), async () => {
      const options = await place()
      const files = await written([wheel(branch), sdist(branch)], options.cwd)
      const args = ['publish', '--publish-url', `${base(fleet.nodeUrls[0])}/legacy/`, '--token', token]
      await succeeds(UV, [...args, ...files], options)
      await succeeds(UV, [...args, '--check-url', simple(0), ...files], options)
    })

    it('flit builds and publishes', missing(FLIT), async () => {
      const options = await place()
      await writeFile(join(options.cwd, 'cairn_flit.py'), '"""A module"""\n__version__ = "0.1"\n')
      const project = [
        '[build-system]',
        'requires = ["flit_core"]',
        'build-backend = "flit_core.buildapi"',
        '[project]',
        'name = "cairn-flit"',
        'dynamic = ["version", "description"]',
      ]
      await writeFile(join(options.cwd, 'pyproject.toml'), `${project.join('\n')}\n`)
      const rc = `[distutils]\nindex-servers = cairn\n[cairn]\nrepository = ${base(fleet.primaryUrl)}/legacy/\nusername = __token__\npassword = ${token}\n`
      await writeFile(join(options.home, '.pypirc'), rc)
      await succeeds(FLIT, ['publish', '--repository', 'cairn', '--no-use-vcs'], options)
      await isPublished('cairn-flit')
    })

    it('hatch publishes', missing(HATCH), async () => {
      const { options, files, url } = await publishing('cairn-hatch')
      const args = ['--no-interactive', 'publish', '--no-prompt', '--repo', url, '--user', '__token__', '--auth', token]
      await succeeds(HATCH, [...args, ...files], options)
      await isPublished('cairn-hatch')
    })

    it('poetry publishes', missing(POETRY), async () => {
      const { options, url } = await publishing('cairn-poetry')
      await poetry(options, url)
      await succeeds(POETRY, ['publish', '--repository', 'cairn'], options)
      await isPublished('cairn-poetry')
    })

    it('twine uploads to a private repository', missing(TWINE), () => twine([wheel(leaf)], PRIVATE))

    it('the nodes have it all', missing(TWINE), async () => {
      for (const url of fleet.nodeUrls)
        for (const name of ['cairn-leaf', 'cairn-branch'])
          await until(async () => (await fetch(`${base(url)}/simple/${name}/`)).status === 200)
    })
  })

  for (const [client, only] of [
    [bundled, PYTHON],
    [PIP, PIP],
  ] as const) {
    describe(client.name, () => {
      it('installs with a dependency, and neither yanked nor too new versions', missing(only), async () => {
        const { target, options } = await targeted()
        const said = await succeeds(
          client,
          ['install', '--index-url', simple(0), '--target', target, 'cairn-branch'],
          options,
        )
        // What it depends on is read from the metadata beside it.
        if (client === PIP) assert.match(said, /cairn_branch-2\.0-py3-none-any\.whl\.metadata/)
        await holds(target, { [moduleOf(branch)]: '2.0', [moduleOf(leaf)]: '1.1' })
      })

      it('installs a yanked version that is named exactly', missing(only), async () => {
        const { target, options } = await targeted()
        await succeeds(client, ['install', '--index-url', simple(0), '--target', target, 'cairn-leaf==1.2'], options)
        await holds(target, { [moduleOf(leaf)]: '1.2' })
      })

      it('installs what has the required hashes, and nothing else', missing(only), async () => {
        const { target, options } = await targeted()
        const requirements = join(options.cwd, 'requirements.txt')
        const args = ['install', '--index-url', simple(0), '--target', target, '--require-hashes', '-r', requirements]
        await writeFile(requirements, `cairn-leaf==1.0 --hash=sha256:${'0'.repeat(64)}\n`)
        assert.match(await fails(client, args, options), /do not match the hashes/i)
        await writeFile(requirements, `cairn-leaf==1.0 --hash=sha256:${sha256(wheel(leaf).bytes)}\n`)
        await succeeds(client, args, options)
        await holds(target, { [moduleOf(leaf)]: '1.0' })
      })

      it('downloads the very bytes, of a source archive too', missing(only), async () => {
        for (const [upload, more] of [
          [wheel(leaf), []],
          [sdist(leaf), ['--no-binary', ':all:']],
        ] as const) {
          const { target, options } = await targeted()
          const args = ['download', '--no-deps', '--index-url', simple(0), '--dest', target, ...more, 'cairn-leaf==1.0']
          await succeeds(client, args, options)
          assert.deepEqual(await readdir(target), [upload.file])
          assert.ok((await readFile(join(target, upload.file))).equals(upload.bytes))
        }
      })

      it('builds and installs a source archive', missing(only), async () => {
        const { target, options } = await targeted()
        const args = [
          'install',
          '--index-url',
          simple(0),
          '--no-binary',
          ':all:',
          '--target',
          target,
          'cairn-leaf==1.0',
        ]
        await succeeds(client, args, options)
        await holds(target, { [moduleOf(leaf)]: '1.0' })
      })

      it('lists versions', missing(only), async () => {
        const said = await succeeds(
          client,
          ['index', 'versions', '--index-url', simple(0), 'Cairn_Leaf'],
          await place(),
        )
        assert.match(said, /Available versions: 1\.1, 1\.0/)
      })

      it('needs credentials for a private repository', missing(only), async () => {
        const { target, options } = await targeted()
        const args = (url: string) => ['install', '--no-input', '--index-url', url, '--target', target, 'cairn-leaf']
        await fails(client, args(simple(0, PRIVATE)), options)
        await succeeds(client, args(simple(0, PRIVATE).replace('://', `://__token__:${token}@`)), options)
        await holds(target, { [moduleOf(leaf)]: '1.0' })
      })
    })
  }

  describe('uv', () => {
    it('installs from node 1, and by hash', missing(UV), async () => {
      const { target, options } = await targeted()
      await succeeds(UV, uvInstall(simple(0), target, 'cairn-branch'), options)
      await holds(target, { [moduleOf(branch)]: '2.0', [moduleOf(leaf)]: '1.1' })
      const requirements = join(options.cwd, 'requirements.txt')
      await writeFile(requirements, `cairn-leaf==1.0 --hash=sha256:${'0'.repeat(64)}\n`)
      const args = [...uvInstall(simple(0), target, '-r'), requirements, '--require-hashes', '--reinstall']
      assert.match(await fails(UV, args, options), /hash/i)
    })

    it('needs credentials for a private repository', missing(UV), async () => {
      const { target, options } = await targeted()
      await fails(UV, uvInstall(simple(0, PRIVATE), target, 'cairn-leaf'), options)
      const url = simple(0, PRIVATE).replace('://', `://__token__:${token}@`)
      await succeeds(UV, uvInstall(url, target, 'cairn-leaf'), options)
    })

    it('locks a project, and syncs it by its lock', missing(UV), async () => {
      const options = await place()
      const project = [
        '[project]',
        'name = "consumer"',
        'version = "1"',
        'requires-python = ">=3.9"',
        'dependencies = ["cairn-branch"]',
        '[[tool.uv.index]]',
        `url = "${simple(0)}"`,
        'default = true',
      ]
      await writeFile(join(options.cwd, 'pyproject.toml'), `${project.join('\n')}\n`)
      await succeeds(UV, ['lock'], options)
      assert.ok((await readFile(join(options.cwd, 'uv.lock'), 'utf8')).includes(sha256(wheel(branch).bytes)))
      await succeeds(UV, ['sync', '--frozen'], { ...options, home: await newHome(fleet.dir) })
    })
  })

  describe('poetry', () => {
    it('locks a project with what a private repository has', missing(POETRY), async () => {
      const options = await place()
      const url = simple(0, PRIVATE)
      const project = [
        '[tool.poetry]',
        'package-mode = false',
        '[tool.poetry.dependencies]',
        'python = ">=3.9"',
        'cairn-leaf = "^1.0"',
        '[[tool.poetry.source]]',
        'name = "cairn"',
        `url = "${url}"`,
        'priority = "primary"',
      ]
      await writeFile(join(options.cwd, 'pyproject.toml'), `${project.join('\n')}\n`)
      await poetry(options, url)
      await succeeds(POETRY, ['lock'], options)
      const lock = await readFile(join(options.cwd, 'poetry.lock'), 'utf8')
      assert.ok(lock.includes(sha256(wheel(leaf).bytes)))
    })
  })

  describe('with the primary stopped', () => {
    before(() => fleet.stopPrimary())

    it('pip installs from node 2 with empty caches', missing(PIP), async () => {
      const { target, options } = await targeted()
      await succeeds(PIP, ['install', '--index-url', simple(1), '--target', target, 'cairn-branch'], options)
      await holds(target, { [moduleOf(branch)]: '2.0', [moduleOf(leaf)]: '1.1' })
    })

    it('uv installs from node 2 with empty caches', missing(UV), async () => {
      const { target, options } = await targeted()
      await succeeds(UV, uvInstall(simple(1), target, 'cairn-branch'), options)
      await holds(target, { [moduleOf(branch)]: '2.0' })
    })

    it('twine is told that publishing has to wait', missing(TWINE), async () => {
      const options = await place()
      const args = await twineArgs([wheel({ ...leaf, version: '4.0' })], options.cwd, base(fleet.nodeUrls[0]))
      assert.match(await fails(TWINE, args, options), /503/)
    })
  })

  /** A project whose two files are ready below dist. */
  async function publishing(name: string) {
    const options = await place()
    const project = { name, version: '1.0' }
    await mkdir(join(options.cwd, 'dist'))
    const files = await written([wheel(project), sdist(project)], join(options.cwd, 'dist'))
    const toml = `[project]\nname = "${name}"\nversion = "1.0"\ndescription = ""\nrequires-python = ">=3.9"\n`
    await writeFile(join(options.cwd, 'pyproject.toml'), toml)
    return { options, files, url: `${base(fleet.primaryUrl)}/legacy/` }
  }

  async function poetry(options: RunOptions, url: string): Promise<void> {
    for (const setting of [
      ['keyring.enabled', 'false'],
      ['repositories.cairn', url],
      ['http-basic.cairn', '__token__', token],
    ])
      await succeeds(POETRY, ['config', ...setting], options)
  }

  async function isPublished(name: string): Promise<void> {
    const page = await (await fetch(`${base(fleet.primaryUrl)}/simple/${name}/`)).text()
    assert.equal(page.match(/<a /g)?.length, 2)
  }

  async function targeted() {
    const options = await place()
    const target = join(options.cwd, 'target')
    await mkdir(target)
    return { target, options }
  }

  async function twine(uploads: Upload[], key = PUBLIC): Promise<void> {
    const options = await place()
    await succeeds(TWINE, await twineArgs(uploads, options.cwd, base(fleet.primaryUrl, key)), options)
  }

  async function twineArgs(uploads: Upload[], folder: string, url = base(fleet.primaryUrl)): Promise<string[]> {
    const to = ['--repository-url', `${url}/legacy/`, '-u', '__token__', '-p', token]
    return ['upload', '--non-interactive', '--disable-progress-bar', ...to, ...(await written(uploads, folder))]
  }

  async function holds(target: string, values: Record<string, string>): Promise<void> {
    for (const [module, value] of Object.entries(values)) {
      const code = `import sys; sys.path.insert(0, sys.argv[1]); import ${module}; print(${module}.value)`
      assert.equal((await succeeds(PYTHON, ['-c', code, target], await place())).trim(), value)
    }
  }
})

function uvInstall(url: string, target: string, name: string): string[] {
  return ['pip', 'install', '--default-index', url, '--python', 'python3', '--target', target, name]
}

async function written(uploads: Upload[], folder: string): Promise<string[]> {
  const paths = uploads.map(({ file }) => join(folder, file))
  for (const [i, path] of paths.entries()) await writeFile(path, uploads[i]?.bytes ?? '')
  return paths
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
