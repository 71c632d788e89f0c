/** `cairn prefetch` and `cairn ready`: a lock file, and the nodes that are to serve it when they are cut off. */
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { RegistryError } from '../../protocol/errors.js'
import type { Found } from '../../protocol/holding.js'
import { type LockContent, type Locked, parsePlatform } from '../../protocol/lock.js'
import { type Client, record } from '../client.js'
import { withNodes } from '../lock/fleet.js'
import { type About, Holder } from '../lock/holder.js'
import { readLockFile } from '../lock/lock-file.js'
import { isWhole, sentenceOf, type Verdict, verdictOf } from '../lock/verdict.js'
import { type ClientFlags, connect, print, size, type Terminal } from '../terminal.js'
import { clientCommand } from './options.js'

interface LockFlags extends ClientFlags {
  repository: string
  node?: string
  all?: boolean
  platform?: string
  any?: boolean
  as?: string
}

type Judged = Verdict & { name: string; fetched: number; fetchedBytes: number }

/** What could not be fetched may be had a moment later, when an upstream allows more. */
const PASSES = 3

export function readyCommand(terminal: Terminal): Command {
  return lockCommand('ready', 'how much of a lock file a node could serve cut off, and what is missing').action(
    (file: string, flags: LockFlags) =>
      judge(file, flags, terminal, async (holder, { locked }) => {
        return { ...verdictOf(await holder.ready(locked), flags.any === true), fetched: 0, fetchedBytes: 0 }
      }),
  )
}

export function prefetchCommand(terminal: Terminal): Command {
  return lockCommand('prefetch', 'make a node hold everything that a lock file names').action(
    (file: string, flags: LockFlags) =>
      judge(file, flags, terminal, (holder, { locked }) => prefetch(holder, locked, flags.any === true, terminal)),
  )
}

function lockCommand(name: string, summary: string): Command {
  return clientCommand(name, summary)
    .argument('<file>', 'lock file of npm, pnpm, Yarn, pip, uv, Poetry, cargo, Go or Gradle; or a list of images')
    .requiredOption('--repository <key>', 'that the lock file is installed from')
    .addOption(new Option('--node <name>', 'this node of the fleet, with the primary at --url').conflicts('all'))
    .option('--all', 'every node of the fleet')
    .option('--platform <platform>', 'only what machines of one kind need, such as linux/amd64')
    .option('--any', 'one file of each version is enough')
    .option('--as <name>', 'what the lock file is called, if its own name does not tell')
}

async function judge(
  file: string,
  flags: LockFlags,
  terminal: Terminal,
  of: (holder: Holder, content: LockContent) => Promise<Omit<Judged, 'name'>>,
): Promise<void> {
  const client = await connect(flags, terminal)
  const content = await read(file, flags, client, terminal)
  const about = { repository: flags.repository, platform: flags.platform }
  const judged = await withHolders(client, flags, about, async (holders) => {
    const all: Judged[] = []
    for (const holder of holders) all.push({ name: holder.name, ...(await of(holder, content)) })
    return all
  })
  const { elsewhere } = content
  print(terminal, flags, { holders: judged, elsewhere }, () =>
    [...judged.map(inWords), ...elsewhere.map((one) => `From no registry: ${one}`)].join('\n'),
  )
  throwIncomplete(judged)
}

async function read(file: string, flags: LockFlags, client: Client, terminal: Terminal): Promise<LockContent> {
  const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform)
  if (flags.platform !== undefined && !platform)
    throw new RegistryError('invalid', '--platform must be like linux/amd64', { code: 'usage' })
  const path = `/api/v1/repositories/${encodeURIComponent(flags.repository)}`
  const { format } = record(await client.json('GET', path))
  return readLockFile(resolve(terminal.folder, file), { format: String(format), name: flags.as, platform })
}

function withHolders<T>(
  client: Client,
  { node, all }: LockFlags,
  about: About,
  use: (holders: Holder[]) => Promise<T>,
): Promise<T> {
  if (node === undefined && !all) return use([new Holder(client.url, client, about)])
  return withNodes(client, node, (members) =>
    use(members.map((member) => new Holder(member.name, member.client, about))),
  )
}

/** What is held in the end is asked anew: the cache may have had no room for all of it. */
async function prefetch(
  holder: Holder,
  locked: readonly Locked[],
  any: boolean,
  terminal: Terminal,
): Promise<Omit<Judged, 'name'>> {
  const done = { fetched: 0, fetchedBytes: 0 }
  const failed = new Map<string, Found>()
  let left = [...locked]
  for (let pass = 1; pass <= PASSES && left.length > 0; pass++) {
    let versions = 0
    for await (const found of holder.prefetch(left)) {
      const files = found.files.filter(({ state }) => state === 'fetched')
      done.fetched += files.length
      done.fetchedBytes += files.reduce((sum, one) => sum + (one.size ?? 0), 0)
      if (isWhole(found, any)) failed.delete(keyOf(found))
      else failed.set(keyOf(found), found)
      say(terminal, `${holder.name}: ${++versions} of ${left.length} versions, ${size(done.fetchedBytes)} fetched`)
    }
    left = left.filter((one) => failed.has(keyOf(one)))
  }
  say(terminal, '')
  // Why something could not be had says more than that it is not there.
  const now = (await holder.ready(locked)).map((found) =>
    isWhole(found, any) ? found : (failed.get(keyOf(found)) ?? found),
  )
  return { ...verdictOf(now, any), ...done }
}

function keyOf({ package: name, version }: { package: string; version: string }): string {
  return `${name}\0${version}`
}

function say({ watched, err }: Terminal, words: string): void {
  if (watched) err.write(`\r\x1b[K${words}`)
}

function inWords({ name, versions, held, percent, missing, fetched, fetchedBytes }: Judged): string {
  const came = fetched === 0 ? '' : `; ${fetched} files (${size(fetchedBytes)}) came now`
  return [...missing.map(sentenceOf), `${name} holds ${percent} % (${held} of ${versions} versions)${came}`].join('\n')
}

/** Throws `corrupt` where bytes are not those of the lock file. */
function throwIncomplete(judged: readonly Judged[]): void {
  const lacking = judged.filter(({ missing }) => missing.length > 0)
  if (lacking.length === 0) return
  const differs = lacking.some(({ missing }) => missing.some((one) => one.differs))
  const names = lacking.map(({ name }) => name).join(', ')
  if (differs) throw new RegistryError('corrupt', `There are other bytes than the lock file says at ${names}`)
  throw new RegistryError('invalid', `Not all of it is at ${names}`, { code: 'incomplete' })
}
