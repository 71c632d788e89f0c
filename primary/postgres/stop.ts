/** Ends an embedded Postgres, whoever started it. */
import { rmdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { RegistryError } from '../../protocol/errors.js'
import { shortDirectory } from './endpoint.js'
import { readPostmaster, whose } from './postmaster.js'
import { runs } from './process.js'

const STOP_MS = 60_000
const POLL_MS = 20

/** Does nothing when none runs on `dir`. `immediate`: without a checkpoint; the next start recovers. Waits. */
export async function stopEmbedded(dir: string, options: { immediate?: boolean } = {}): Promise<void> {
  const home = resolve(dir)
  const data = join(home, 'data')
  const found = await readPostmaster(data)
  if (!found || (await whose(found, data)) !== 'ours') return
  await stopServer(found.pid, home, options.immediate ? ['SIGQUIT'] : undefined)
}

/** SIGINT is Postgres' fast shutdown; SIGQUIT, when that takes too long, is the one that recovers at the next start. */
export async function stopServer(
  pid: number,
  home: string,
  signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGQUIT'],
): Promise<void> {
  const isServer = async (): Promise<boolean> => (await readPostmaster(join(home, 'data')))?.pid === pid
  for (const signal of signals) {
    if (await isServer()) send(pid, signal)
    const until = Date.now() + STOP_MS
    while ((await runs(pid)) && Date.now() < until) await delay(POLL_MS)
    // The directory may not be there, or belong to a server that was started in the meantime: neither is a fault.
    if (!(await runs(pid))) return await rmdir(shortDirectory(home)).catch(() => undefined)
  }
  throw new RegistryError('unavailable', `Postgres (process ${pid}) does not end`)
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ESRCH') return
    throw new RegistryError('unavailable', `Postgres (process ${pid}) belongs to another user and cannot be ended`, {
      cause,
    })
  }
}
