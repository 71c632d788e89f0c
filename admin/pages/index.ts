/** All pages for administration, in the order of the navigation. */
import { grantPages } from './grants.js'
import { groupPages } from './groups.js'
import type { Page } from './page.js'
import { projectPages } from './projects.js'
import { rightPages } from './rights.js'
import { rolePages } from './roles.js'
import { tokenPages } from './tokens.js'
import { userPages } from './users.js'

export const pages: readonly Page[] = [
  ...projectPages,
  ...userPages,
  ...groupPages,
  ...rolePages,
  ...grantPages,
  ...rightPages,
  ...tokenPages,
]
