/** The kinds of identity provider that there are. */
import type { ProviderKind } from './provider.js'

export const providerKinds: readonly ProviderKind[] = []
