/**
 * What installs Python packages, installing other people's through a remote repository, from whatever index this machine's own pip
 * is set to use. Where that cannot be reached the tests are skipped.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { FORM_TYPE, moduleOf, type Project, uploadForm, wheel } from '../support/python-package.js'
import { type Client, missing, newHome, ofPython, program, type RunOptions, succeeds } from './client.js'

const PYTHON = program('python3')
const PIP = ofPython('pip')
const UV = ofPython('uv')
const POETRY = ofPython('poetry')
const PDM = ofPython('pdm')

const TREE = 'rich==13.7.1'
const MODULES = ['rich', 'markdown_it', 'mdurl', 'pygments']
/** Ours, though the upstream has newer ones under that name. */
const own: Project = { name: 'six', version: '0.0.1' }
const app: Project = { name: 'cairn-app', version: '1.0', requires: [TREE, 'six'] }

const index = await configured()
const skip = missing(PYTHON).skip || (index === undefined && "pip's index cannot be reached from here")

describe('Python packages through a remote repository', { timeout: 480_000, skip }, () => {
  let fleet: TestFleet
  /** The one that Python brings, on Debian an old one, in a fresh environment. */
  const bundled: Client = { name: "Python's own pip", command: undefined }
  const simple = (at: 'primary' | number, key = 'public') =>
    `${at === 'primary' ? fleet.primaryUrl : fleet.nodeUrls[at]}/repository/${key}/simple/`

  before(async () => {
    fleet = await testFleet({ nodes: 2, primary: { upstreamAllow: index?.hosts ?? [] } })
    const draft = { format: 'pypi', is_public: true }
    for (const more of [
      { key: 'own', repo_type: 'local' },
      { key: 'public', repo_type: 'remote', upstream_url: index?.url },
      { key: 'all', repo_type: 'virtual', members: ['public', 'own'] },
    ])
      await fleet.api('POST', '/api/v1/repositories', { ...draft, ...more })
    for (const project of [own, app]) {
      const reply = await fetch(`${fleet.primaryUrl}/repository/own/legacy/`, {
        method: 'POST',
        body: uploadForm(wheel(project)),
        headers: { authorization: fleet.admin, 'content-type': FORM_TYPE },
      })
      assert.equal(reply.status, 201)
    }
    for (const node of [0, 1]) await until(async () => (await fetch(`${simple(node, 'own')}cairn-app/`)).status === 200)
    const environment = join(fleet.dir, 'environment')
    await succeeds(PYTHON, ['-m', 'venv', environment], await place())
    bundled.command = [join(environment, 'bin', 'python'), '-m', 'pip']
  })
  after(() => fleet.close())

  const place = async () => ({
    cwd: await mkdtemp(join(fleet.dir, 'work-')),
    home: await newHome(fleet.dir),
    deadlineMs: 180_000,
  })

  for (const [client, only] of [
    [bundled, PYTHON],
    [PIP, PIP],
  ] as const)
    for (const at of [0, 'primary'] as const)
      it(`${client.name} installs a tree from ${at === 0 ? 'a node' : 'the primary'}`, missing(only), async () => {
        const { target, options } = await targeted()
        await succeeds(client, pipInstall(simple(at), target, TREE), options)
        await works(target)
      })

  it('uv installs a tree from a node', missing(UV), async () => {
    const { target, options } = await targeted()
    await succeeds(UV, uvInstall(simple(0), target, TREE), options)
    await works(target)
  })

  it('pip builds a source archive with what building it needs, through the primary', missing(PIP), async () => {
    const { target, options } = await targeted()
    await succeeds(PIP, [...pipInstall(simple('primary'), target, 'six==1.16.0'), '--no-binary', 'six'], options)
    await imports(target, 'import six; print(six.__version__)', '1.16.0')
  })

  it('poetry locks and installs', missing(POETRY), async () => {
    const options = await place()
    const project = [
      '[tool.poetry]',
      'package-mode = false',
      '[tool.poetry.dependencies]',
      'python = ">=3.9"',
      'rich = "13.7.1"',
      '[[tool.poetry.source]]',
      'name = "cairn"',
      `url = "${simple(0)}"`,
      'priority = "primary"',
    ]
    await writeFile(join(options.cwd, 'pyproject.toml'), `${project.join('\n')}\n`)
    for (const setting of [
      ['keyring.enabled', 'false'],
      ['virtualenvs.in-project', 'true'],
    ])
      await succeeds(POETRY, ['config', ...setting], options)
    await succeeds(POETRY, ['lock'], options)
    await succeeds(POETRY, ['install', '--no-interaction'], options)
    assert.match(await readFile(join(options.cwd, 'poetry.lock'), 'utf8'), /name = "mdurl"/)
    await environmentWorks(options)
  })

  it('pdm locks and installs', missing(PDM), async () => {
    const options = await place()
    const project = [
      '[project]',
      'name = "consumer"',
      'version = "1"',
      'requires-python = ">=3.9"',
      `dependencies = ["${TREE}"]`,
      '[tool.pdm]',
      'distribution = false',
      '[[tool.pdm.source]]',
      'name = "pypi"',
      `url = "${simple(0)}"`,
    ]
    await writeFile(join(options.cwd, 'pyproject.toml'), `${project.join('\n')}\n`)
    await succeeds(PDM, ['venv', 'create', '--with', 'venv'], options)
    await succeeds(PDM, ['use', '-f', '.venv'], options)
    await succeeds(PDM, ['install'], options)
    await environmentWorks(options)
  })

  it('a name of our own is never the upstream’s in a virtual repository', missing(PIP), async () => {
    const { target, options } = await targeted()
    await succeeds(PIP, pipInstall(simple(0, 'all'), target, 'cairn-app'), options)
    await works(target)
    await imports(target, `import ${moduleOf(own)}; print(six.value)`, own.version)
  })

  describe('with the primary stopped', () => {
    before(() => fleet.stopPrimary())

    for (const client of [PIP, UV])
      for (const key of ['public', 'all'])
        it(`${client.name} installs with empty caches from the other node, ${key}`, missing(client), async () => {
          const { target, options } = await targeted()
          const args = (client === UV ? uvInstall : pipInstall)(
            simple(1, key),
            target,
            key === 'all' ? 'cairn-app' : TREE,
          )
          await succeeds(client, args, options)
          await works(target)
        })
  })

  async function targeted() {
    const options = await place()
    const target = join(options.cwd, 'target')
    await mkdir(target)
    return { target, options }
  }

  async function works(target: string): Promise<void> {
    const loaded = MODULES.map((module) => `import ${module}`).join('; ')
    await imports(target, `${loaded}; print(rich.__name__)`, 'rich')
  }

  async function imports(target: string, code: string, said: string): Promise<void> {
    const whole = `import sys; sys.path.insert(0, sys.argv[1]); ${code}`
    assert.equal((await succeeds(PYTHON, ['-c', whole, target], await place())).trim(), said)
  }

  async function environmentWorks({ cwd, home }: RunOptions): Promise<void> {
    const python: Client = { name: 'its Python', command: [join(cwd, '.venv', 'bin', 'python')] }
    await succeeds(python, ['-c', MODULES.map((module) => `import ${module}`).join('; ')], { cwd, home })
  }
})

function pipInstall(url: string, target: string, name: string): string[] {
  return ['install', '--no-input', '--index-url', url, '--target', target, name]
}

function uvInstall(url: string, target: string, name: string): string[] {
  return ['pip', 'install', '--default-index', url, '--python', 'python3', '--target', target, name]
}

/** Never named here: it is what this machine's pip says, by its settings or else by itself, and the hosts that its files lie at. */
async function configured(): Promise<{ url: string; hosts: string[] } | undefined> {
  const code =
    'from pip._internal.commands import create_command; print(create_command("download").parser.get_default_values().index_url)'
  try {
    const { stdout } = await promisify(execFile)('python3', ['-c', code], { timeout: 20_000 })
    const url = stdout.trim().replace(/\/*$/, '/')
    const page = new URL('rich/', url)
    const reply = await fetch(page, { headers: { accept: 'text/html' }, signal: AbortSignal.timeout(20_000) })
    const [, file = ''] = /href="([^"]+)"/.exec(await reply.text()) ?? []
    return reply.ok ? { url, hosts: [page.hostname, new URL(file, page).hostname] } : undefined
  } catch {
    return undefined
  }
}
