/**
 * One part as `up` sees it: a process of its own group, so that the terminal's Ctrl-C reaches `up` alone; its output goes to its
 * log. A part that runs already is adopted. Whoever runs on the part's data is the part, also after somebody started it again.
 */

import { spawn } from 'node:child_process'
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { runs } from '../../primary/postgres/process.js'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'
import { runningOn } from '../claim.js'
import { lastSentence } from './last-sentence.js'
import type { PlannedPart } from './plan.js'

export interface Child {
  readonly part: PlannedPart
  readonly pid: number
  readonly adopted: boolean
  /** How it ended, in words: 'signal SIGKILL', 'exit code 1', followed by what it said last. */
  readonly ended: Promise<string>
}

const POLL_MS = 40
const WATCH_MS = 1000
const READY_MS = 180_000
const MAX_LOG_BYTES = 64 * 1024 * 1024
const SAID_BYTES = 64 * 1024

/** The part that runs on this data, else a new one. `program`: arguments for node before the part's own. */
export async function launch(
  part: PlannedPart,
  program: readonly string[],
  extra: Record<string, string> = {},
): Promise<Child> {
  const running = await runningOn(part.data)
  if (running !== undefined) return { part, pid: running, adopted: true, ended: watch(running) }
  const log = await openLog(part.log)
  try {
    const child = spawn(process.execPath, [...program, ...part.args], {
      detached: true,
      stdio: ['ignore', log.file.fd, log.file.fd],
      env: { ...part.environment, ...extra },
    })
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message))
      child.once('exit', (code, signal) => {
        if (signal !== null) return resolve(`signal ${signal}`)
        void said(part.log, log.from).then((sentence) => resolve(sentence ?? `exit code ${code}`))
      })
    })
    return { part, pid: child.pid ?? 0, adopted: false, ended }
  } finally {
    await log.file.close()
  }
}

/** Resolves when /ready answers 200. Throws `unavailable` with the part's own sentence when it ends before. */
export async function untilReady(child: Child, signal: AbortSignal): Promise<void> {
  let ended: string | undefined
  void child.ended.then((how) => {
    ended = how
  })
  const deadline = Date.now() + READY_MS
  while (!(await isReady(child.part.url))) {
    signal.throwIfAborted()
    if (ended !== undefined) throw new RegistryError('unavailable', `${child.part.name} did not start: ${ended}`)
    if (Date.now() > deadline)
      throw new RegistryError('unavailable', `${child.part.name} was not ready in time; its log is ${child.part.log}`)
    await delay(POLL_MS)
  }
}

/** Asks the process on the part's data to end, and waits. Kills it when it takes too long. */
export async function end(part: PlannedPart, deadlineMs: number): Promise<void> {
  const pid = await runningOn(part.data)
  if (pid === undefined) return
  signalTo(pid, 'SIGTERM')
  const deadline = Date.now() + deadlineMs
  while ((await runs(pid)) && Date.now() < deadline) await delay(POLL_MS)
  if (await runs(pid)) signalTo(pid, 'SIGKILL')
}

export async function kill(part: PlannedPart): Promise<void> {
  const pid = await runningOn(part.data)
  if (pid !== undefined) signalTo(pid, 'SIGKILL')
}

async function isReady(url: string): Promise<boolean> {
  try {
    const reply = await fetch(`${url}/ready`, { signal: deadline(5_000), redirect: 'manual' })
    await reply.body?.cancel()
    return reply.status === 200
  } catch {
    return false
  }
}

/** For a process that is nobody's child here. */
async function watch(pid: number): Promise<string> {
  while (await runs(pid)) await delay(WATCH_MS)
  return 'it is gone'
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself in the meantime.
  }
}

async function openLog(path: string): Promise<{ file: Awaited<ReturnType<typeof open>>; from: number }> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const size = await sizeOf(path)
  if (size > MAX_LOG_BYTES) await rename(path, `${path}.1`)
  return { file: await open(path, 'a', 0o600), from: size > MAX_LOG_BYTES ? 0 : size }
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    (found) => found.size,
    () => 0,
  )
}

async function said(path: string, from: number): Promise<string | undefined> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0))
  return lastSentence(bytes.subarray(Math.max(from, bytes.length - SAID_BYTES)).toString('utf8'))
}
