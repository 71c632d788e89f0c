/** The embedded Postgres as a part of its own: real servers in real directories. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { type Embedded, embedded } from '../../primary/postgres/embedded.js'
import { readPostmaster } from '../../primary/postgres/postmaster.js'
import { alive } from '../../primary/postgres/process.js'
import { stopEmbedded } from '../../primary/postgres/stop.js'
import { type ErrorKind, RegistryError } from '../../protocol/errors.js'
import { until } from '../support/fleet.js'

const run = promisify(execFile)
let dir: string
let home: string

before(async () => {
  // Mode 700: as root, nobody else can enter it.
  dir = await mkdtemp(join(tmpdir(), 'cairn-embedded-'))
  home = join(dir, 'postgres')
  const first = await embedded(home)
  await query(first, 'create table kept (n int)')
  await first.stop()
})
after(async () => {
  await stopEmbedded(home)
  await rm(dir, { recursive: true, force: true })
})

const refused = (kind: ErrorKind, pattern: RegExp) => (error: unknown) =>
  error instanceof RegistryError && error.kind === kind && pattern.test(error.message)

async function query(server: Embedded, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

async function killed(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL')
  await until(async () => !alive(pid))
}

it('a server that was stopped starts with its data, durable as set', async () => {
  const server = await embedded(home)
  assert.equal(server.adopted, false)
  await query(server, 'insert into kept values (1)')
  const [row] = await query(
    server,
    "select current_setting('fsync') f, current_setting('synchronous_commit') s, current_setting('data_checksums') c",
  )
  assert.deepEqual(row, { f: 'on', s: 'on', c: 'on' })
  await server.stop()
  await server.stop()
  assert.equal(await readPostmaster(join(home, 'data')), undefined)
})

it('it outlives the process that started it, and the next one adopts it', async () => {
  const module = fileURLToPath(new URL('../../primary/postgres/embedded.js', import.meta.url))
  const script = `const { embedded } = await import(${JSON.stringify(module)}); const s = await embedded(${JSON.stringify(home)}); console.log(s.pid); process.kill(process.pid, 'SIGKILL')`
  const starter = await run(process.execPath, ['--input-type=module', '-e', script]).catch(
    (error: { stdout: string }) => error,
  )
  const server = await embedded(home)
  assert.equal(server.adopted, true)
  assert.equal(server.pid, Number(starter.stdout))
  await query(server, 'insert into kept values (2)')
  await server.stop()
  assert.equal(await readPostmaster(join(home, 'data')), undefined)
})

it('a server that was killed recovers what it had committed', async () => {
  const server = await embedded(home)
  await query(server, 'insert into kept values (3)')
  await killed(server.pid)
  const again = await embedded(home)
  assert.equal(again.adopted, false)
  assert.deepEqual(await query(again, 'select n from kept where n = 3'), [{ n: 3 }])
  await again.stop()
})

it('a pid file whose number belongs to another program by now is not believed', async () => {
  const server = await embedded(home)
  await killed(server.pid)
  const path = join(home, 'data', 'postmaster.pid')
  await writeFile(path, (await readFile(path, 'utf8')).replace(/^\d+/, String(process.pid)))
  const again = await embedded(home)
  assert.equal(again.adopted, false)
  await again.stop()
})

it('a copy of the data of a running server gets a server of its own', async () => {
  const server = await embedded(home)
  const copied = join(dir, 'copy')
  await cp(home, copied, {
    recursive: true,
    preserveTimestamps: true,
    filter: (path) => !path.includes('.s.PGSQL') || path.endsWith('.lock'),
  })
  // As root the copy would be root's: the server's user gets it when it is opened.
  const second = await embedded(copied)
  assert.equal(second.adopted, false)
  assert.notEqual(second.pid, server.pid)
  await second.stop()
  assert.equal((await embedded(home)).pid, server.pid)
  await server.stop()
})

it('a path too long for a socket gets one elsewhere, which goes with the server', async () => {
  const long = join(dir, 'x'.repeat(110), 'postgres')
  const server = await embedded(long)
  const socketDir = new URL(server.url.replace('@/', '@host/')).searchParams.get('host') ?? ''
  assert.ok(socketDir.length < 100)
  assert.deepEqual(await query(server, 'select 1 as one'), [{ one: 1 }])
  await server.stop()
  await assert.rejects(readFile(socketDir), { code: 'ENOENT' })
})

it('on a port it is reached with its password only, and a busy port is one sentence', async () => {
  const busy = createServer()
  await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve))
  const address = busy.address()
  const port = typeof address === 'object' && address ? address.port : 0
  await assert.rejects(embedded(home, { port }), refused('unavailable', new RegExp(`^Port ${port} is already in use`)))
  await new Promise((resolve) => busy.close(resolve))
  const server = await embedded(home, { port })
  assert.match(server.url, new RegExp(`@127\\.0\\.0\\.1:${port}/`))
  const wrong = { ...server, url: server.url.replace(/:[^:@]+@/, ':wrong@') }
  await assert.rejects(query(wrong, 'select 1'), /password authentication failed/)
  await server.stop()
})

it('data of another major version is refused and left alone', async () => {
  const path = join(home, 'data', 'PG_VERSION')
  await writeFile(path, '12\n')
  try {
    await assert.rejects(embedded(home), refused('invalid', /was made by Postgres 12, and this is Postgres \d+/))
  } finally {
    await writeFile(path, '18\n')
  }
})

it('a start that is called off leaves no server behind', async () => {
  await assert.rejects(embedded(home, { signal: AbortSignal.abort() }), refused('unavailable', /not ready in time/))
  await until(async () => (await readPostmaster(join(home, 'data'))) === undefined)
})
