/** All pages for administration, in the order of the navigation. */
import { groupPages } from './groups.js'
import type { Page } from './page.js'
import { tokenPages } from './tokens.js'
import { userPages } from './users.js'

export const pages: readonly Page[] = [...userPages, ...groupPages, ...tokenPages]
