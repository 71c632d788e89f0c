/** Why the embedded Postgres cannot be had, in one sentence, out of what the server and the system say. */
import { RegistryError } from '../../protocol/errors.js'
import { whyNotRunnable } from './binaries.js'

const DISK_FULL = /No space left on device|Disk quota exceeded|Check free disk space/
const MAX_CAUSE = 4000

/** `output`: what initdb or the server said. */
export function startFailure(output: string, data: string, port: number | undefined): RegistryError {
  const cause = new Error(output.slice(-MAX_CAUSE))
  if (DISK_FULL.test(output)) return full(data, cause)
  const known = sentenceFor(output, data, port)
  if (known !== undefined) return new RegistryError('unavailable', known, { cause })
  const reasons = [...output.matchAll(/(?:FATAL|PANIC|error):\s+(.*)/g)]
  // The first is what happened, those after it are what became of that.
  const reason = reasons[0]?.[1] ?? 'it gave no reason'
  return new RegistryError('unavailable', `The embedded Postgres on ${data} did not start: ${reason}`, { cause })
}

function sentenceFor(output: string, data: string, port: number | undefined): string | undefined {
  if (/Address already in use/.test(output))
    return `Port ${port ?? ''} is already in use, so Postgres cannot listen on it`
  if (/lock file "postmaster.pid" already exists/.test(output)) return `Another Postgres is running on ${data}`
  return whyNotRunnable(output)
}

/** What the file system refuses. */
export function asSentence(error: unknown, home: string): RegistryError {
  if (error instanceof RegistryError) return error
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOSPC' || code === 'EDQUOT') return full(home, error)
  const sentence =
    code === 'EACCES' || code === 'EPERM'
      ? `${home} belongs to another user; start Cairn as that user or choose another data directory`
      : `The embedded Postgres in ${home} cannot be used: ${error instanceof Error ? error.message : String(error)}`
  return new RegistryError('unavailable', sentence, { cause: error })
}

function full(path: string, cause: unknown): RegistryError {
  const sentence = `The disk that holds ${path} is full; free some space and start again`
  return new RegistryError('unavailable', sentence, { cause, code: 'disk_full' })
}
