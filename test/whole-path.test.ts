/**
 * What a newcomer does, with the real program as processes and the real npm: one command up, publish, install from node 1, kill -9
 * the primary, install from node 2, the primary back, publish once more, both nodes have it; then Ctrl-C, and again.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { packageRoot } from '../deploy/root.js'
import { freePort, until } from './support/fleet.js'

const PASSWORD = 'whole-path-password-1'
const program = join(packageRoot(), 'dist', 'deploy', 'cairn.js')

describe('the whole path', { timeout: 240_000 }, () => {
  let dir: string
  let port: number
  let up: Running
  let home: string
  const url = (part: number, path = '') => `http://127.0.0.1:${port + part}${path}`
  const registry = (part: number) => url(part, '/repository/npm-local/')
  const start = () =>
    run([program, 'up', '--port', String(port), '--data', join(dir, 'data')], dir, { CAIRN_ADMIN_PASSWORD: PASSWORD })

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cairn-path-'))
    home = join(dir, 'home')
    await mkdir(home)
    port = await freeRun()
    up = start()
    await until(async () => up.output.includes('is ready') || ended(up), 120_000)
    assert.match(up.output, /npm-local/)
  })
  after(async () => {
    up.child.kill('SIGKILL')
    await rm(dir, { recursive: true, force: true })
  })

  it('a package that npm publishes to the primary installs from node 1', async () => {
    const reply = await fetch(url(0, '/api/v1/auth/login'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'admin', password: PASSWORD }),
    })
    const { access_token } = (await reply.json()) as { access_token: string }
    await writeFile(
      join(home, '.npmrc'),
      `//127.0.0.1:${port}/repository/npm-local/:_authToken=${access_token}\nupdate-notifier=false\naudit=false\nfund=false\n`,
    )
    await project('hello', { name: '@acme/hello', version: '1.0.0', main: 'index.js' })
    await writeFile(join(dir, 'hello', 'index.js'), 'module.exports = 42')
    await npm('hello', 'publish', '--registry', registry(0))
    await project('one', { name: 'one', version: '1.0.0' })
    await npm('one', 'install', '@acme/hello', '--registry', registry(1))
  })

  it('publishing the version again is refused in npm’s own words', async () => {
    await assert.rejects(
      npm('hello', 'publish', '--registry', registry(0)),
      /cannot publish over the previously published versions: 1\.0\.0/,
    )
  })

  it('with the primary killed, node 2 serves what it never had', async () => {
    process.kill(Number(await readFile(join(dir, 'data', 'primary.pid'), 'utf8')), 'SIGKILL')
    await until(async () =>
      fetch(url(0, '/health')).then(
        () => false,
        () => true,
      ),
    )
    await project('two', { name: 'two', version: '1.0.0' })
    await npm('two', 'install', '@acme/hello', '--registry', registry(2))
    assert.equal((await fetch(url(2, '/ready'))).status, 200)
  })

  it('a write at a node that is cut off gets 503, Retry-After and a sentence', async () => {
    const reply = await fetch(url(1, '/repository/generic-local/x'), { method: 'PUT', body: 'x' })
    assert.equal(reply.status, 503)
    assert.ok(Number(reply.headers.get('retry-after')) > 0)
    assert.match(((await reply.json()) as { detail: string }).detail, /primary/)
  })

  it('the primary started again by its own command line takes a publish, and both nodes have it', async () => {
    const primary = run([program, 'primary', '--data', join(dir, 'data', 'primary'), '--port', String(port)], dir)
    await until(async () => (await fetch(url(0, '/ready'))).status === 200, 60_000)
    await project('hello', { name: '@acme/hello', version: '1.1.0', main: 'index.js' })
    await npm('hello', 'publish', '--registry', registry(0))
    for (const part of [1, 2])
      await until(
        async () =>
          '1.1.0' in ((await (await fetch(`${registry(part)}@acme%2fhello`)).json()) as { versions: object }).versions,
      )
    assert.ok(!ended(primary))
  })

  it('the command line client puts, lists, gets, verifies and removes', async () => {
    const cli = (...args: string[]) =>
      finished(run([program, ...args, '--url', url(0)], dir, { HOME: home, CAIRN_TOKEN: '' }))
    const { access_token } = (await (
      await fetch(url(0, '/api/v1/auth/login'), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ username: 'admin', password: PASSWORD }),
      })
    ).json()) as { access_token: string }
    const as = (...args: string[]) =>
      finished(run([program, ...args, '--url', url(0)], dir, { HOME: home, CAIRN_TOKEN: access_token }))
    await writeFile(join(dir, 'file.bin'), Buffer.alloc(300_000, 7))
    await as('put', join(dir, 'file.bin'), 'generic-local/a/file.bin')
    assert.match(await as('ls', 'generic-local/a/'), /file\.bin/)
    await as('get', 'generic-local/a/file.bin', '-o', join(dir, 'back.bin'))
    assert.deepEqual(await readFile(join(dir, 'back.bin')), await readFile(join(dir, 'file.bin')))
    assert.match(await as('whoami'), /admin/)
    assert.match(await as('repo', 'list', '--json'), /npm-local/)
    assert.match(await as('node', 'list', '--json'), /node-1/)
    await as('verify', url(1, '/repository/generic-local/a/file.bin'))
    await as('status')
    await as('rm', 'generic-local/a/file.bin')
    await assert.rejects(cli('put', join(dir, 'file.bin'), 'generic-local/b'), /exit 4/)
  })

  it('Ctrl-C ends everything, and the next start has the same data', async () => {
    up.child.kill('SIGINT')
    await until(async () => ended(up), 60_000)
    for (const part of [0, 1, 2]) await assert.rejects(fetch(url(part, '/health')))
    up = start()
    await until(async () => up.output.includes('is ready') || ended(up), 60_000)
    await until(
      async () =>
        '1.1.0' in ((await (await fetch(`${registry(2)}@acme%2fhello`)).json()) as { versions: object }).versions,
    )
    up.child.kill('SIGINT')
    await until(async () => ended(up), 60_000)
  })

  async function project(name: string, manifest: object): Promise<void> {
    await mkdir(join(dir, name), { recursive: true })
    await writeFile(join(dir, name, 'package.json'), JSON.stringify(manifest))
  }

  async function npm(folder: string, ...args: string[]): Promise<string> {
    const cache = args[0] === 'publish' || folder === 'one' ? join(dir, 'cache') : await mkdtemp(join(dir, 'cache-'))
    const child = spawn('npm', [...args, '--cache', cache], {
      cwd: join(dir, folder),
      env: { ...process.env, HOME: home, npm_config_userconfig: join(home, '.npmrc') },
    })
    return finished(follow(child))
  }
})

interface Running {
  child: ChildProcess
  output: string
}

function run(args: string[], cwd: string, extra: NodeJS.ProcessEnv = {}): Running {
  return follow(spawn(process.execPath, args, { cwd, env: { ...process.env, ...extra } }))
}

function follow(child: ChildProcess): Running {
  const running = { child, output: '' }
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      running.output += text
    })
  return running
}

function ended({ child }: Running): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

/** Its output; throws with it when it fails. */
async function finished(running: Running): Promise<string> {
  const code = await new Promise((resolve) => running.child.on('close', resolve))
  if (code !== 0) throw new Error(`exit ${code}: ${running.output}`)
  return running.output
}

/** A port whose two followers, and the fleet's a thousand above, are free as well. */
async function freeRun(): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const port = 20_000 + Math.floor(Math.random() * 20_000)
    if ((await freePort()) > 0) return port
  }
  throw new Error('no ports')
}
