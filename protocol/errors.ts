/**
 * The one error that crosses a port. Its kind decides the status (http/status.ts); its message is a sentence for the
 * user and holds no secret. Expected absence is `undefined`, never an error.
 */
export type ErrorKind =
  | 'invalid' // the input breaks a grammar, a limit or a digest
  | 'unauthenticated' // no credentials, or they are not valid
  | 'forbidden'
  | 'missing'
  | 'conflict' // immutable path, version taken, lost optimistic lock
  | 'precondition' // If-Match and the like
  | 'range' // the asked range does not exist
  | 'unsupported' // the method is not offered here
  | 'too_large'
  | 'over_quota'
  | 'throttled'
  | 'unavailable' // cut off, disk full, database away: try again later
  | 'upstream' // another server answered nonsense
  | 'corrupt' // bytes or records that fail their digest

export interface ErrorDetails {
  /** Seconds after which a retry makes sense; becomes Retry-After. */
  retryAfter?: number
  cause?: unknown
  /** A stable word for scripts, for instance `quota_exceeded`. Defaults to the kind. */
  code?: string
}

export class RegistryError extends Error {
  readonly kind: ErrorKind
  readonly retryAfter: number | undefined
  readonly code: string

  constructor(kind: ErrorKind, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'RegistryError'
    this.kind = kind
    this.code = details.code ?? kind
    this.retryAfter = details.retryAfter
  }
}
