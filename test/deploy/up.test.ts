/** `cairn up` as a user runs it: real processes, ended and killed in every way that a terminal knows. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { demandFree } from '../../deploy/up/ports.js'
import { formats } from '../../formats/index.js'
import { readPostmaster } from '../../primary/postgres/postmaster.js'
import { alive, runs } from '../../primary/postgres/process.js'
import { until } from '../support/fleet.js'

const PROGRAM = fileURLToPath(new URL('../../deploy/cairn.js', import.meta.url))
const START_MS = 120_000

interface Started {
  child: ChildProcess
  said: () => string
  ended: Promise<number | null>
}
interface Welcome {
  parts: { name: string; pid: number; adopted: boolean; url: string; command: string[] }[]
  password: string | null
  repositories: { key: string; snippet: string }[]
}

let dir: string
let port: number
const running = new Set<ChildProcess>()

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-up-'))
  port = await freeBase()
})
after(async () => {
  for (const child of running) child.kill('SIGKILL')
  for (const name of ['node-1', 'primary']) {
    const pid = await pidOf(name)
    if (pid !== undefined && alive(pid)) process.kill(pid, 'SIGKILL')
  }
  const postmaster = await readPostmaster(join(dir, 'data', 'primary', 'postgres', 'data'))
  if (postmaster && alive(postmaster.pid)) process.kill(postmaster.pid, 'SIGQUIT')
  await until(async () => !postmaster || !alive(postmaster.pid))
  await rm(dir, { recursive: true, force: true })
})

/** A port with what `up` takes from it free as well: HTTP, TLS, mesh. */
async function freeBase(): Promise<number> {
  for (;;) {
    const base = 20_000 + Math.floor(Math.random() * 10_000)
    const free = demandFree('127.0.0.1', [base, base + 1, base + 1000, base + 2001]).then(
      () => true,
      () => false,
    )
    if (await free) return base
  }
}

function up(...more: string[]): Started {
  const args = [PROGRAM, 'up', '--nodes', '1', '--port', String(port), '--data', join(dir, 'data'), '--json', ...more]
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('CAIRN_'))
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: Object.fromEntries(environment),
  })
  running.add(child)
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => (text += chunk))
  const ended = once(child, 'close').then(([code]: (number | null)[]) => {
    running.delete(child)
    return code ?? null
  })
  return { child, said: () => text, ended }
}

async function ready(started: Started): Promise<Welcome> {
  await until(async () => started.said().includes('"seconds"') || started.child.exitCode !== null, START_MS)
  const line = started
    .said()
    .split('\n')
    .find((each) => each.startsWith('{"parts"'))
  assert.ok(line, started.said())
  return JSON.parse(line)
}

async function pidOf(name: string): Promise<number | undefined> {
  const text = await readFile(join(dir, 'data', `${name}.pid`), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : Number(text)
}

async function nothingRuns(welcome: Welcome): Promise<void> {
  for (const { name, pid } of welcome.parts) assert.ok(!(await runs(pid)), `${name} still runs`)
  assert.equal(await readPostmaster(join(dir, 'data', 'primary', 'postgres', 'data')), undefined)
  assert.deepEqual(
    (await readdir(join(dir, 'data'))).filter((name) => name.endsWith('.pid')),
    [],
  )
}

it('the first start makes everything, and Ctrl-C ends everything', { timeout: START_MS }, async () => {
  const first = up()
  const welcome = await ready(first)
  assert.deepEqual(
    welcome.parts.map(({ name, url }) => [name, url]),
    [
      ['primary', `http://127.0.0.1:${port}`],
      ['node-1', `http://127.0.0.1:${port + 1}`],
    ],
  )
  assert.ok(welcome.password, 'a password is generated and shown')
  assert.deepEqual(
    welcome.repositories.map(({ key }) => key),
    formats.map(({ name }) => `${name}-local`),
  )
  for (const { pid, name } of welcome.parts) assert.equal(await pidOf(name), pid)
  const logs = await readFile(join(dir, 'data', 'logs', 'primary.log'), 'utf8')
  assert.ok(!logs.includes(welcome.password), 'the password is in no log')

  const second = up()
  assert.equal(await second.ended, 6)
  assert.match(second.said(), /^cairn: Cairn runs on .* already, as process \d+; end that first/)

  first.child.kill('SIGINT')
  // What npm passes on besides the terminal's own signal.
  first.child.kill('SIGINT')
  assert.equal(await first.ended, 0)
  await nothingRuns(welcome)
})

it('killed, it leaves its parts running; the next one adopts them, and shows no password', {
  timeout: START_MS,
}, async () => {
  const first = up()
  const before = await ready(first)
  assert.equal(before.password, null)
  first.child.kill('SIGKILL')
  await first.ended
  const second = up()
  const welcome = await ready(second)
  assert.deepEqual(
    welcome.parts.map(({ pid, adopted }) => [pid, adopted]),
    before.parts.map(({ pid }) => [pid, true]),
  )

  const node = welcome.parts.find(({ name }) => name === 'node-1')
  process.kill(node?.pid ?? 0, 'SIGKILL')
  await until(async () => second.said().includes('node-1 has ended'))
  assert.equal((await fetch(`http://127.0.0.1:${port}/ready`)).status, 200)

  // By its own command line it comes back, and `up` ends it with the others.
  const [file = '', ...args] = node?.command ?? []
  const again = spawn(file, args, { stdio: 'ignore' })
  running.add(again)
  const ended = once(again, 'exit')
  await until(async () => (await fetch(`${node?.url}/ready`)).status === 200, START_MS)
  second.child.kill('SIGTERM')
  assert.equal(await second.ended, 0)
  await ended
  running.delete(again)
  await nothingRuns(welcome)
})

it('a busy port is one sentence, and nothing is started', { timeout: START_MS }, async () => {
  const { createServer } = await import('node:net')
  const busy = createServer()
  await new Promise<void>((resolve) => busy.listen(port + 1, '127.0.0.1', resolve))
  try {
    const started = up()
    assert.equal(await started.ended, 6)
    assert.equal(started.said(), `cairn: Port ${port + 1} is already in use; choose others with --port\n`)
    assert.equal(await pidOf('primary'), undefined)
  } finally {
    await new Promise((resolve) => busy.close(resolve))
  }
})

it('a second Ctrl-C ends everything at once, a part that hangs too', { timeout: START_MS }, async () => {
  const started = up()
  const welcome = await ready(started)
  const node = welcome.parts.find(({ name }) => name === 'node-1')?.pid ?? 0
  process.kill(node, 'SIGSTOP')
  started.child.kill('SIGINT')
  await until(async () => started.said().includes('once more Ctrl-C'))
  await until(async () => {
    if (alive(node)) started.child.kill('SIGINT')
    return !alive(node)
  })
  assert.equal(await started.ended, 0)
  await until(async () => welcome.parts.every(({ pid }) => !alive(pid)))
})
