/** What a proposal may be refused for besides its rows: a lost optimistic lock, and the repository's quota. */
import { RegistryError } from '../errors.js'

/** Throws `conflict` when a package changed since the writer read it. */
export function refuseIfChanged(unchanged: { package: string; last: number }, last: number): void {
  if (last !== unchanged.last)
    throw new RegistryError(
      'conflict',
      `${unchanged.package} was changed by somebody else meanwhile; read it again and retry`,
    )
}

/** Throws `over_quota` when a repository would grow beyond its quota. Shrinking is always allowed. */
export function checkQuota(quota: number | undefined, used: number, grows: number): void {
  if (quota !== undefined && grows > 0 && used > quota)
    throw new RegistryError('over_quota', `The repository's quota of ${quota} bytes does not hold ${used} bytes`, {
      code: 'quota_exceeded',
    })
}
