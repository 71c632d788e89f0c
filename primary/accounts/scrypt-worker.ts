/**
 * Derives keys in a thread of its own, so that file reads, which share the process's pool of threads, do not wait for it; and at
 * a low priority where the system has one for each thread, so that whoever serves requests goes first.
 */
import { scryptSync } from 'node:crypto'
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import type { Asked, Derived } from './derivation.js'

const NICE = 15

goLast()
parentPort?.on('message', (asked: Asked) => parentPort?.postMessage(derive(asked)))

function derive({ id, password, salt, bytes, options }: Asked): Derived {
  try {
    return { id, key: scryptSync(password, salt, bytes, options) }
  } catch (error) {
    return { id, failure: error instanceof Error ? error.message : String(error) }
  }
}

/** Linux: every thread has a number, and a priority under it. Elsewhere things stay as they are. */
function goLast(): void {
  try {
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), NICE)
  } catch {
    // No such thing here.
  }
}
