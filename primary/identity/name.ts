/** The name of an account, made from what a provider calls somebody. */
import { RegistryError } from '../../protocol/errors.js'
import { isUserName } from '../accounts/users.js'

const MAX_CHARACTERS = 63

/**
 * Compatible spellings are one, accents and case fall, what the grammar does not know becomes '-'. Two that become the same are not
 * joined: the second is refused. Throws `forbidden` when no name is left.
 */
export function accountName(name: string): string {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9._@-]+/g, '-')
    .replace(/^[^a-z0-9]+|-+$/g, '')
    .slice(0, MAX_CHARACTERS)
  if (isUserName(plain)) return plain
  throw new RegistryError('forbidden', 'The provider tells no name that an account can have', { code: 'name_refused' })
}
