/** The kinds of identity provider that there are. */
import { scim } from '../scim/provider.js'
import { ldap } from './ldap/provider.js'
import { oauth2 } from './oauth2/provider.js'
import { oidc } from './oidc/provider.js'
import type { ProviderKind } from './provider.js'
import { saml } from './saml/provider.js'

export const providerKinds: readonly ProviderKind[] = [ldap, oidc, oauth2, saml, scim]
