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
import { mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'
import { embeddedBinaries, whyNotRunnable } from './binaries.js'
import { accepts } from './connection.js'
import { type Endpoint, endpointOf, endpoints, isAboutSocket, SOCKET_NAME } from './endpoint.js'
import { asSentence, startFailure } from './failure.js'
import { ensureData } from './initdb.js'
import { findLauncher, type Launcher } from './launcher.js'
import { readPostmaster, whose } from './postmaster.js'
import { alive } from './process.js'
import { ids, neutralEnvironment } from './run.js'
import { serverSettings } from './server-settings.js'
import { stopServer } from './stop.js'
import { DATABASE, urlOf } from './url.js'

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

const MAX_LOG_BYTES = 1024 * 1024
const START_MS = 300_000
const POLL_MS = 25

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
    this.#signal = deadline(options.deadlineMs ?? START_MS, ...(options.signal ? [options.signal] : []))
  }

  /** The server that runs on this data, once it accepts connections; undefined when none does. */
  async adopt(): Promise<Embedded | undefined> {
    for (;;) {
      const found = await readPostmaster(this.#data)
      if (!found || !alive(found.pid)) return undefined
      const owner = await whose(found, this.#data)
      if (owner === 'foreign') return await this.#discard()
      if (owner === 'doubtful')
        throw new RegistryError(
          'unavailable',
          `A Postgres (process ${found.pid}) may be running on ${this.#data} under another name; stop it first`,
        )
      const endpoint = endpointOf(found)
      if (found.status === 'ready' && endpoint && (await accepts(endpoint, this.#password)))
        return this.#running(found.pid, endpoint, true)
      await this.#pause()
    }
  }

  async start(): Promise<Embedded> {
    const failures: string[] = []
    for await (const endpoint of endpoints(this.#home, this.#options.port, (path) => this.#launcher.own(path))) {
      const why = await this.#tryStart(endpoint)
      if (typeof why !== 'string') return why
      failures.push(why)
      if (!isAboutSocket(why)) break
    }
    throw startFailure(failures.at(-1) ?? '', this.#data, this.#options.port)
  }

  /** The running server, or the log of one that gave up. */
  async #tryStart(endpoint: Endpoint): Promise<Embedded | string> {
    for (;;) {
      const log = await this.#openLog()
      try {
        const command = this.#launcher.command(this.#postgres, ['-D', this.#data, ...serverSettings(endpoint)])
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
        if (found?.pid === child.pid && found?.status === 'ready' && (await accepts(endpoint, this.#password)))
          return true
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
    return { url: urlOf(endpoint, this.#password, DATABASE), pid, adopted, stop: () => stopServer(pid, this.#home) }
  }

  /** Left by a crash, or copied here with the data. Postgres would take a process of that number for the owner. */
  async #discard(): Promise<undefined> {
    await rm(join(this.#data, 'postmaster.pid'), { force: true })
    await rm(join(this.#home, `${SOCKET_NAME}.lock`), { force: true })
    return undefined
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
      await delay(POLL_MS, undefined, { signal: this.#signal })
    } catch (cause) {
      throw new RegistryError('unavailable', `Postgres on ${this.#data} was not ready in time`, { cause })
    }
  }
}
