/**
 * The embedded Postgres: the real server, from npm, on a directory of its own. It is a process of its own that outlives the
 * primary; a primary that starts adopts one that runs on its data. Only this machine can reach it, and only with its password.
 *
 *     <dir>/data        what initdb made; complete, because it is made as data.new and renamed
 *     <dir>/password    of the role `cairn`, mode 0600
 *     <dir>/log         what the server says: starts and fatal errors, never statements
 *     <dir>/.s.PGSQL.5432   its socket (in a short directory below the system's temporary one when the path is too long)
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { RegistryError } from '../../protocol/errors.js'
import { embeddedBinaries, whyNotRunnable } from './binaries.js'
import { findLauncher, type Launcher } from './launcher.js'
import { type Postmaster, readPostmaster, whose } from './postmaster.js'
import { alive } from './process.js'
import { ids, neutralEnvironment, run } from './run.js'

export interface Embedded {
  /** For a pg.Pool. Holds the password. */
  url: string
  pid: number
  /** Did it run already. */
  adopted: boolean
  /** Ends the server, whoever started it: open transactions are rolled back, everything committed is on disk. Waits. */
  stop(): Promise<void>
}

export interface EmbeddedOptions {
  /** Listen on this TCP port of the loopback address, and not on a socket. */
  port?: number
  /** How long a start may take, recovery after a crash included. */
  deadlineMs?: number
  signal?: AbortSignal
}

type Endpoint = { socketDir: string } | { port: number }

const USER = 'cairn'
const DATABASE = 'cairn'
const SOCKET_NAME = '.s.PGSQL.5432'
/** sun_path is 104 bytes on macOS and 108 on Linux, its NUL included. */
const MAX_SOCKET_PATH = 103
const INITDB_MS = 120_000
const STOP_MS = 60_000
const MAX_LOG_BYTES = 1024 * 1024

const SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '128MB',
  max_connections: '50',
  max_wal_size: '1GB',
  min_wal_size: '64MB',
  wal_compression: 'on',
  checkpoint_completion_target: '0.9',
  password_encryption: 'scram-sha-256',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  logging_collector: 'off',
  log_checkpoints: 'off',
  // A statement may carry what must not be in a log, and every refused duplicate is an ERROR.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_statement: 'none',
}

/** Throws `unavailable` (busy, disk full, cannot be run) or `invalid` (data of another major version), always one sentence. */
export async function embedded(dir: string, options: EmbeddedOptions = {}): Promise<Embedded> {
  const binaries = embeddedBinaries()
  const home = resolve(dir)
  try {
    await mkdir(home, { recursive: true, mode: 0o700 })
    const launcher = await findLauncher(home, binaries.postgres)
    const password = await ensureData(home, launcher, binaries.initdb)
    const server = new Server(home, launcher, password, binaries.postgres, options)
    return (await server.adopt()) ?? (await server.start())
  } catch (error) {
    throw asSentence(error, home)
  }
}

/** Ends the server on `dir` if one runs there, whoever started it. Waits. `immediate`: without a checkpoint; the next start recovers. */
export async function stopEmbedded(dir: string, options: { immediate?: boolean } = {}): Promise<void> {
  const data = join(resolve(dir), 'data')
  const found = await readPostmaster(data)
  if (!found || (await whose(found, data)) !== 'ours') return
  await stop(found.pid, data, options.immediate ? ['SIGQUIT'] : ['SIGINT', 'SIGQUIT'])
}

class Server {
  readonly #home: string
  readonly #data: string
  readonly #launcher: Launcher
  readonly #password: string
  readonly #postgres: string
  readonly #signal: AbortSignal
  readonly #options: EmbeddedOptions

  constructor(home: string, launcher: Launcher, password: string, postgres: string, options: EmbeddedOptions) {
    this.#home = home
    this.#data = join(home, 'data')
    this.#launcher = launcher
    this.#password = password
    this.#postgres = postgres
    this.#options = options
    const deadline = AbortSignal.timeout(options.deadlineMs ?? 300_000)
    this.#signal = options.signal ? AbortSignal.any([deadline, options.signal]) : deadline
  }

  /** The server that runs on this data, once it accepts connections; undefined when none does. */
  async adopt(): Promise<Embedded | undefined> {
    for (;;) {
      const found = await readPostmaster(this.#data)
      if (!found || !alive(found.pid)) return undefined
      const owner = await whose(found, this.#data)
      if (owner === 'foreign') return await this.#discard(found)
      if (owner === 'doubtful')
        throw new RegistryError(
          'unavailable',
          `A Postgres (process ${found.pid}) may be running on ${this.#data} under another name; stop it first`,
        )
      const endpoint = endpointOf(found)
      if (found.status === 'ready' && endpoint && (await this.#accepts(endpoint)))
        return this.#running(found.pid, endpoint, true)
      await this.#pause()
    }
  }

  async start(): Promise<Embedded> {
    const failures: string[] = []
    for (const endpoint of await this.#endpoints()) {
      const why = await this.#tryStart(endpoint)
      if (typeof why !== 'string') return why
      failures.push(why)
      if (!/could not (create|bind).*(socket|Unix)|Unix-domain socket/i.test(why)) break
    }
    throw startFailure(failures.at(-1) ?? '', this.#data, this.#options.port)
  }

  /** The running server, or the log of one that gave up. */
  async #tryStart(endpoint: Endpoint): Promise<Embedded | string> {
    for (;;) {
      const log = await this.#openLog()
      try {
        const command = this.#launcher.command(this.#postgres, ['-D', this.#data, ...settings(endpoint)])
        const child = spawn(command.file, command.args, {
          ...ids(command),
          cwd: '/',
          detached: true,
          stdio: ['ignore', log.file.fd, log.file.fd],
          env: neutralEnvironment(),
        })
        child.unref()
        if (await this.#becomesReady(child, endpoint)) return this.#running(child.pid ?? 0, endpoint, false)
      } finally {
        await log.file.close()
      }
      const said = (await readFile(join(this.#home, 'log'), 'utf8')).slice(log.from)
      // Workers of a killed server end by themselves within moments.
      if (!said.includes('pre-existing shared memory block')) return said
      await this.#pause()
    }
  }

  async #becomesReady(child: ChildProcess, endpoint: Endpoint): Promise<boolean> {
    let failure: Error | undefined
    let ended = false
    child.once('error', (error) => {
      failure = error
    })
    child.once('exit', () => {
      ended = true
    })
    try {
      while (!ended) {
        if (failure)
          throw new RegistryError('unavailable', whyNotRunnable(failure.message) ?? failure.message, { cause: failure })
        const found = await readPostmaster(this.#data)
        if (found?.pid === child.pid && found?.status === 'ready' && (await this.#accepts(endpoint))) return true
        await this.#pause()
      }
    } catch (error) {
      // Nobody would know of it: the caller gets no handle.
      child.kill('SIGINT')
      throw error
    }
    return false
  }

  #running(pid: number, endpoint: Endpoint, adopted: boolean): Embedded {
    return { url: urlOf(endpoint, this.#password, DATABASE), pid, adopted, stop: () => stop(pid, this.#data) }
  }

  /** Does our password open it. A server that shows the right directory but does not know the password is not ours. */
  async #accepts(endpoint: Endpoint): Promise<boolean> {
    if (await connects(urlOf(endpoint, this.#password, DATABASE))) return true
    return await createDatabase(urlOf(endpoint, this.#password, 'postgres'))
  }

  async #discard(found: Postmaster): Promise<undefined> {
    await rm(join(this.#data, 'postmaster.pid'), { force: true })
    if (found.socketDir !== '' && resolve(found.socketDir) === this.#home)
      await rm(join(this.#home, `${SOCKET_NAME}.lock`), { force: true })
    return undefined
  }

  async #endpoints(): Promise<Endpoint[]> {
    if (this.#options.port !== undefined)
      return [{ port: this.#options.port === 0 ? await freePort() : this.#options.port }]
    const sockets = process.platform === 'win32' ? [] : [this.#home, await this.#shortDirectory()]
    const usable = sockets.filter(
      (path) => path !== undefined && Buffer.byteLength(join(path, SOCKET_NAME)) <= MAX_SOCKET_PATH,
    )
    return [...usable.map((socketDir) => ({ socketDir: socketDir ?? '' })), { port: await freePort() }]
  }

  /** A directory of our own with a short name; undefined when somebody else has made it. */
  async #shortDirectory(): Promise<string | undefined> {
    const path = join(tmpdir(), `cairn-${createHash('sha256').update(this.#home).digest('hex').slice(0, 16)}`)
    await mkdir(path, { mode: 0o700 }).catch(() => undefined)
    await this.#launcher.own(path).catch(() => undefined)
    const [made, home] = await Promise.all([lstat(path), stat(this.#home)]).catch(() => [undefined, undefined])
    const safe = made?.isDirectory() === true && made.uid === home?.uid && (made.mode & 0o077) === 0
    return safe ? path : undefined
  }

  async #openLog(): Promise<{ file: Awaited<ReturnType<typeof open>>; from: number }> {
    const path = join(this.#home, 'log')
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    )
    const file = await open(path, size > MAX_LOG_BYTES ? 'w' : 'a', 0o600)
    // As text: the log is read back as a string.
    return { file, from: size > MAX_LOG_BYTES ? 0 : (await readFile(path, 'utf8')).length }
  }

  async #pause(): Promise<void> {
    try {
      await delay(25, undefined, { signal: this.#signal })
    } catch (cause) {
      throw new RegistryError('unavailable', `Postgres on ${this.#data} was not ready in time`, { cause })
    }
  }
}

/** The password of the data, which is made when there is none. */
async function ensureData(home: string, launcher: Launcher, initdb: string): Promise<string> {
  const data = join(home, 'data')
  const passwordFile = join(home, 'password')
  const version = await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => undefined)
  if (version === undefined) return await initialise(home, launcher, initdb)
  if (Number(version) !== launcher.major)
    throw new RegistryError(
      'invalid',
      `The database in ${data} was made by Postgres ${version.trim()}, and this is Postgres ${launcher.major}; start the version of Cairn that made it`,
    )
  return (await readFile(passwordFile, 'utf8')).trim()
}

async function initialise(home: string, launcher: Launcher, initdb: string): Promise<string> {
  const fresh = join(home, 'data.new')
  const passwordFile = join(home, 'password')
  await rm(fresh, { recursive: true, force: true })
  const password = randomBytes(24).toString('base64url')
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flush: true })
  await chmod(passwordFile, 0o600)
  await launcher.own(passwordFile)
  const options = [
    '-D',
    fresh,
    '-U',
    USER,
    '--encoding=UTF8',
    '--locale=C',
    '--auth=scram-sha-256',
    '--data-checksums',
    `--pwfile=${passwordFile}`,
  ]
  const made = await run(launcher.command(initdb, options), INITDB_MS)
  if (made.code !== 0) {
    await rm(fresh, { recursive: true, force: true })
    throw startFailure(made.output, home, undefined)
  }
  await rename(fresh, join(home, 'data'))
  await syncDirectory(home)
  return password
}

async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function settings(endpoint: Endpoint): string[] {
  const where: Record<string, string> =
    'port' in endpoint
      ? { listen_addresses: '127.0.0.1', port: String(endpoint.port), unix_socket_directories: '' }
      : {
          listen_addresses: '',
          port: '5432',
          unix_socket_directories: endpoint.socketDir,
          unix_socket_permissions: '0700',
        }
  return Object.entries({ ...SETTINGS, ...where }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

function endpointOf(found: Postmaster): Endpoint | undefined {
  if (found.socketDir !== '') return { socketDir: found.socketDir }
  return found.port > 0 ? { port: found.port } : undefined
}

function urlOf(endpoint: Endpoint, password: string, database: string): string {
  if ('port' in endpoint) return `postgres://${USER}:${password}@127.0.0.1:${endpoint.port}/${database}`
  return `postgres://${USER}:${password}@/${database}?host=${encodeURIComponent(endpoint.socketDir)}`
}

async function connects(url: string): Promise<boolean> {
  return await withClient(
    url,
    () => Promise.resolve(true),
    () => false,
  )
}

/** A server that was killed between initdb and here has no database yet. */
async function createDatabase(url: string): Promise<boolean> {
  return await withClient(
    url,
    async (client) => {
      const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [DATABASE])
      if (rowCount === 0) await client.query(`create database ${DATABASE}`)
      return true
    },
    () => false,
  )
}

async function withClient<T>(
  url: string,
  use: (client: pg.Client) => Promise<T>,
  failed: (error: unknown) => T,
): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await use(client)
  } catch (error) {
    return failed(error)
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** SIGINT is Postgres' fast shutdown; SIGQUIT, when that takes too long, is the one that recovers at the next start. */
async function stop(
  pid: number,
  data: string,
  signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT'],
): Promise<void> {
  for (const signal of signals) {
    if ((await readPostmaster(data))?.pid !== pid || !send(pid, signal)) return
    if (await gone(pid, data)) return
  }
  throw new RegistryError('unavailable', `Postgres (process ${pid}) does not end`)
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/** Its last act is to remove its pid file; the process itself may stay a zombie where nobody waits for it. */
async function gone(pid: number, data: string): Promise<boolean> {
  const until = Date.now() + STOP_MS
  while (Date.now() < until) {
    if ((await readPostmaster(data))?.pid !== pid || !alive(pid)) return true
    await delay(20)
  }
  return false
}

async function freePort(): Promise<number> {
  return await new Promise((settle, fail) => {
    const server = createServer()
    server.once('error', fail)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => settle(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

function startFailure(output: string, data: string, port: number | undefined): RegistryError {
  const cause = new Error(output.slice(-4000))
  if (/No space left on device/.test(output)) return full(data, cause)
  if (/Address already in use/.test(output))
    return new RegistryError('unavailable', `Port ${port ?? ''} is already in use, so Postgres cannot listen on it`, {
      cause,
    })
  if (/lock file "postmaster.pid" already exists/.test(output))
    return new RegistryError('unavailable', `Another Postgres is running on ${data}`, { cause })
  const known = whyNotRunnable(output)
  if (known) return new RegistryError('unavailable', known, { cause })
  const last = /(?:FATAL|PANIC|error):\s+(.*)/g
  const reason = [...output.matchAll(last)].at(-1)?.[1] ?? 'it gave no reason'
  return new RegistryError('unavailable', `The embedded Postgres on ${data} did not start: ${reason}`, { cause })
}

function full(path: string, cause: unknown): RegistryError {
  return new RegistryError('unavailable', `The disk that holds ${path} is full; free some space and start again`, {
    cause,
    code: 'disk_full',
  })
}

function asSentence(error: unknown, home: string): RegistryError {
  if (error instanceof RegistryError) return error
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOSPC' || code === 'EDQUOT') return full(home, error)
  if (code === 'EACCES' || code === 'EPERM')
    return new RegistryError(
      'unavailable',
      `${home} belongs to another user; start Cairn as that user or choose another data directory`,
      { cause: error },
    )
  return new RegistryError(
    'unavailable',
    `The embedded Postgres in ${home} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
    { cause: error },
  )
}
