/** A version that must be there. */
import type { Call } from '../../protocol/format.js'
import type { Version } from '../../protocol/records.js'
import { noProject } from './simple.js'

/** `name` and `version` are normalised. Throws `missing`. */
export async function knownVersion({ repository }: Call<unknown>, name: string, version: string): Promise<Version> {
  const known = await repository.version(name, version)
  if (!known) throw noProject(`${name} ${version}`, repository)
  return known
}
