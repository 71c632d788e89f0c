/** What the program's exit tells scripts. The numbers are documented in `cairn --help` and never change their meaning. */
import { RegistryError } from '../protocol/errors.js'

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  missing: 3,
  refused: 4,
  conflict: 5,
  unavailable: 6,
  mismatch: 7,
} as const

export const EXIT_HELP = `Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 not allowed, 5 conflict, 6 not reachable or busy,
7 digest mismatch.`

export function exitCodeOf(error: unknown): number {
  if (!(error instanceof RegistryError)) return EXIT.failed
  if (error.code === 'usage') return EXIT.usage
  switch (error.kind) {
    case 'missing':
      return EXIT.missing
    case 'unauthenticated':
    case 'forbidden':
      return EXIT.refused
    case 'conflict':
    case 'precondition':
      return EXIT.conflict
    case 'unavailable':
    case 'throttled':
    case 'upstream':
      return EXIT.unavailable
    case 'corrupt':
      return EXIT.mismatch
    default:
      return EXIT.failed
  }
}
