/**
 * What `postmaster.pid` says about a server, and whether that is true: a pid file outlives a crash, its number may belong to
 * another program by now, and in a copied data directory it names the server of the original.
 */
import { readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { alive, commandLine } from './process.js'

export interface Postmaster {
  pid: number
  /** As the server was started with. */
  dataDir: string
  port: number
  /** '' when it listens on TCP only. */
  socketDir: string
  /** '' when it listens on a socket only. */
  listen: string
  status: 'starting' | 'ready' | 'stopping' | 'standby' | 'unknown'
}

/** undefined: no pid file, or one that is not complete (the server writes it in steps). */
export async function readPostmaster(data: string): Promise<Postmaster | undefined> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => undefined)
  const [pid = '', dataDir = '', , port = '', socketDir = '', listen = '', , status = ''] =
    text?.split('\n').map((line) => line.trim()) ?? []
  if (!/^\d+$/.test(pid)) return undefined
  return {
    pid: Number(pid),
    dataDir,
    port: Number(port) || 0,
    socketDir,
    listen: listen === '*' ? '127.0.0.1' : listen,
    status: statusOf(status),
  }
}

function statusOf(word: string): Postmaster['status'] {
  return word === 'starting' || word === 'ready' || word === 'stopping' || word === 'standby' ? word : 'unknown'
}

/**
 * `ours`: a Postgres on this directory. `foreign`: surely another program, or a Postgres on other data, so the pid file is stale.
 * `doubtful`: a Postgres that may use these very files under another name (the directory was moved while it ran).
 */
export async function whose(postmaster: Postmaster, data: string): Promise<'ours' | 'foreign' | 'doubtful'> {
  if (!alive(postmaster.pid)) return 'foreign'
  const line = await commandLine(postmaster.pid)
  if (line === undefined) return 'doubtful'
  if (!/\bpostgres(\.exe)?\b/.test(line)) return 'foreign'
  const [own, other] = await Promise.all([realpath(data), realpath(postmaster.dataDir).catch(() => undefined)])
  if (other === undefined) return 'doubtful'
  if (other !== own) return 'foreign'
  // A worker of some other Postgres that got the number: the postmaster itself was started with its directory.
  return line.includes(postmaster.dataDir) ? 'ours' : 'foreign'
}
