/** All pages for administration, in the order of the navigation. */

import { auditPages } from './audit.js'
import { grantPages } from './grants.js'
import { groupPages } from './groups.js'
import { leasePages } from './leases.js'
import { nodePages } from './nodes.js'
import type { Page } from './page.js'
import { projectPages } from './projects.js'
import { providerPages } from './providers.js'
import { repositoryPages } from './repositories.js'
import { rightPages } from './rights.js'
import { rolePages } from './roles.js'
import { tokenPages } from './tokens.js'
import { userPages } from './users.js'

export const pages: readonly Page[] = [
  ...repositoryPages,
  ...projectPages,
  ...userPages,
  ...groupPages,
  ...rolePages,
  ...grantPages,
  ...rightPages,
  ...nodePages,
  ...leasePages,
  ...providerPages,
  ...auditPages,
  ...tokenPages,
]
