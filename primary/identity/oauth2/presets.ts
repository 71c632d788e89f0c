/**
 * Forges that speak OAuth 2 and tell who somebody is in ways of their own. A preset says where to ask, and reads the answers. The
 * subject is always the immutable number: names can be given up and taken by others.
 */
import { z } from 'zod'

export interface Said {
  subject: string
  name: string
  email: string
  emailVerified: boolean
  groups: string[]
}

interface Preset {
  /** Below the forge's address. */
  authorize: string
  token: string
  scopes: string[]
  /** Asks for a path below the address of the interface; arrays come whole, over all pages. */
  who(ask: Ask): Promise<Said>
  /** Where the interface is, for a forge at this address. */
  api(address: URL): string
}

export type Ask = <T>(path: string, shape: z.ZodType<T>) => Promise<T>

const githubUser = z.object({ id: z.number().int().positive(), login: z.string().min(1) })
const githubEmails = z.array(z.object({ email: z.string(), primary: z.boolean(), verified: z.boolean() }))
const githubOrganizations = z.array(z.object({ login: z.string() }))
const githubTeams = z.array(z.object({ slug: z.string(), organization: z.object({ login: z.string() }) }))

/** Groups are organisations (`acme`) and teams (`acme/release`). */
const github: Preset = {
  authorize: '/login/oauth/authorize',
  token: '/login/oauth/access_token',
  scopes: ['read:user', 'user:email', 'read:org'],
  // The public one has a host of its own for it, installations have a path.
  api: ({ protocol, host }) => (host === 'github.com' ? `${protocol}//api.${host}` : `${protocol}//${host}/api/v3`),
  who: async (ask) => {
    const [user, emails, organizations, teams] = await Promise.all([
      ask('/user', githubUser),
      ask('/user/emails', githubEmails),
      ask('/user/orgs', githubOrganizations),
      ask('/user/teams', githubTeams),
    ])
    const own = emails.find(({ primary }) => primary)
    return {
      subject: String(user.id),
      name: user.login,
      email: own?.email ?? '',
      emailVerified: own?.verified === true,
      groups: [
        ...organizations.map(({ login }) => login),
        ...teams.map(({ slug, organization }) => `${organization.login}/${slug}`),
      ],
    }
  },
}

const gitlabUser = z.object({
  id: z.number().int().positive(),
  username: z.string().min(1),
  email: z.string().nullish(),
  confirmed_at: z.string().nullish(),
})
const gitlabGroups = z.array(z.object({ full_path: z.string() }))

/** Groups are GitLab's, by their full path, where one is at least a guest by oneself. */
const gitlab: Preset = {
  authorize: '/oauth/authorize',
  token: '/oauth/token',
  scopes: ['read_api'],
  api: ({ protocol, host }) => `${protocol}//${host}/api/v4`,
  who: async (ask) => {
    const [user, groups] = await Promise.all([
      ask('/user', gitlabUser),
      ask('/groups?min_access_level=10', gitlabGroups),
    ])
    return {
      subject: String(user.id),
      name: user.username,
      email: user.email ?? '',
      emailVerified: Boolean(user.email) && typeof user.confirmed_at === 'string',
      groups: groups.map(({ full_path }) => full_path),
    }
  },
}

export const presets = { github, gitlab }
