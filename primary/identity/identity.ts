/** What a provider says of somebody who signed on there. */
export interface Identity {
  /** Key of the provider. */
  provider: string
  /** The provider's immutable id of the person: never a name or an address, which can become somebody else's. */
  subject: string
  /** As the provider spells it; the account's name is made from it (name.ts). */
  name: string
  /** '' where it does not tell. */
  email: string
  emailVerified: boolean
  /** As the provider calls them; undefined: it does not tell. */
  groups: string[] | undefined
  /** undefined: it does not tell. */
  admin: boolean | undefined
}
