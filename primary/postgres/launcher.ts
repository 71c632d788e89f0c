/**
 * As whom Postgres runs. It refuses root, and a directory or node_modules that belongs to root may lie below one that nobody
 * else can enter (mode 700). For root the first of these that works here is taken:
 *
 *   1. an unprivileged user (`postgres` if there is one, else `nobody`), where it can reach the files;
 *   2. the same with one capability, to pass directories that are closed to it (setpriv);
 *   3. a user namespace in which root is not mapped: Postgres then sees itself as 65534, and so does it see root's files.
 */
import { lchown, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { RegistryError } from '../../protocol/errors.js'
import { whyNotRunnable } from './binaries.js'
import { type Command, run } from './run.js'

export interface Launcher {
  /** How to run a program of the package as the user that owns the data. */
  command(file: string, args: string[]): Command
  /** Gives a file or directory to that user, with all that is in it. */
  own(path: string): Promise<void>
  /** Major version of the server. */
  major: number
}

interface Candidate {
  command(file: string, args: string[]): Command
  owner: Owner | undefined
}
interface Owner {
  uid: number
  gid: number
}

const PROBE_MS = 20_000

/** `dir` exists. Throws `unavailable` with one sentence when no way works. */
export async function findLauncher(dir: string, postgres: string): Promise<Launcher> {
  const failures: string[] = []
  for (const candidate of await candidates(dir)) {
    const probe = await run(
      candidate.command('/bin/sh', ['-c', 'cd "$1" && exec "$2" --version', 'sh', dirname(dir), postgres]),
      PROBE_MS,
    )
    const major = /\(PostgreSQL\) (\d+)/.exec(probe.output)?.[1]
    // The programs look for each other by access(2), which knows no capabilities: what they say of it is as good as a failure.
    const usable = probe.code === 0 && major !== undefined && !probe.output.includes('invalid binary')
    const why = usable ? await ownFailure(dir, candidate.owner) : probe.output.trim()
    if (why === undefined)
      return { command: candidate.command, own: (path) => own(path, candidate.owner), major: Number(major) }
    failures.push(why)
  }
  const known = failures.map(whyNotRunnable).find((sentence) => sentence !== undefined)
  throw new RegistryError('unavailable', known ?? refusal(failures), { code: 'postgres_cannot_run' })
}

function refusal(failures: string[]): string {
  if (process.getuid?.() !== 0)
    return `The embedded Postgres cannot be run here: ${failures.at(-1) ?? 'no reason given'}`
  return 'Postgres does not run as root, and no other user could be used here: start Cairn as an ordinary user, or set CAIRN_DATABASE_URL'
}

async function candidates(dir: string): Promise<Candidate[]> {
  const plain: Candidate = { command: (file, args) => ({ file, args }), owner: undefined }
  if (process.platform === 'win32') return [windows]
  if (process.getuid?.() !== 0) return [plain]
  const owner = await unprivileged(dir)
  const namespace: Candidate = {
    command: (file, args) => ({ file: 'unshare', args: ['--user', file, ...args] }),
    owner: { uid: 0, gid: 0 },
  }
  if (!owner) return [namespace]
  return [
    { command: (file, args) => ({ file, args, ...owner }), owner },
    ...['dac_read_search', 'dac_override'].map((capability) => ({ command: withCapability(owner, capability), owner })),
    namespace,
  ]
}

/** There is no shell to probe with; initdb and postgres give up an administrator's rights by themselves. */
const windows: Candidate = {
  command: (file, args) => (file === '/bin/sh' ? { file: args.at(-1) ?? file, args: ['--version'] } : { file, args }),
  owner: undefined,
}

function withCapability({ uid, gid }: Owner, capability: string): Candidate['command'] {
  const options = [
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    `--inh-caps=+${capability}`,
    `--ambient-caps=+${capability}`,
  ]
  return (file, args) => ({ file: 'setpriv', args: [...options, file, ...args] })
}

/** Whoever owns the data already; else `postgres`, else `nobody`. */
async function unprivileged(dir: string): Promise<Owner | undefined> {
  const { uid, gid } = await stat(dir)
  if (uid !== 0) return { uid, gid }
  for (const name of ['postgres', 'nobody']) {
    const [user, group] = await Promise.all(
      ['-u', '-g'].map((option) => run({ file: 'id', args: [option, name] }, PROBE_MS)),
    )
    if (user?.code === 0 && group?.code === 0) return { uid: Number(user.output), gid: Number(group.output) }
  }
  return undefined
}

async function ownFailure(dir: string, owner: Owner | undefined): Promise<string | undefined> {
  try {
    await own(dir, owner)
    return undefined
  } catch (error) {
    return String(error)
  }
}

async function own(path: string, owner: Owner | undefined): Promise<void> {
  if (!owner) return
  const found = await stat(path)
  if (found.uid === owner.uid) return
  // The top last: a change that was cut short is seen, and done again.
  if (found.isDirectory()) for (const name of await readdir(path)) await own(join(path, name), owner)
  await lchown(path, owner.uid, owner.gid)
}
