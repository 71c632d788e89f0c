/** Projects: who administers one chooses its members and keeps its service accounts; what it holds at most is the system's. */
import { z } from 'zod'
import type { Gate } from '../../protocol/access/gate.js'
import { type Endpoint, endpoint } from '../../protocol/api/endpoint.js'
import { pageFrom, pageOf, pageQuery } from '../../protocol/api/page.js'
import { API } from '../../protocol/api/reads.js'
import { time, userJson, userShape } from '../../protocol/api/shapes.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Metadata } from '../../protocol/ports.js'
import type { Membership, ProjectRecord } from '../../protocol/records.js'
import type { Projects } from '../accounts/projects.js'

const name = z.string().min(1).max(200)
const description = z.string().max(4000)
const quota = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).nullable()
const role = z.string().min(1).max(63)

const membershipShape = z
  .object({ user: z.string().nullable(), group: z.string().nullable(), role: z.string() })
  .meta({ id: 'Membership' })

const projectShape = z
  .object({
    key: z.string(),
    name: z.string(),
    description: z.string(),
    members: z.array(membershipShape),
    quota_bytes: z.number().nullable().meta({ description: 'Of all its repositories together' }),
    used_bytes: z.number().nullable().meta({ description: 'Null in lists' }),
    repositories: z.array(z.string()),
    created_at: time,
  })
  .meta({ id: 'Project' })

export interface ProjectsOptions {
  projects: Projects
  metadata: Metadata
  gate: Gate
  usage: (...scopes: string[]) => Promise<number>
}

export function projectEndpoints(options: ProjectsOptions): Endpoint[] {
  return [...projectsThemselves(options), ...memberEndpoints(options), ...serviceAccountEndpoints(options)]
}

function projectsThemselves({ projects, metadata, gate, usage }: ProjectsOptions): Endpoint[] {
  const repositories = ({ key }: ProjectRecord) => metadata.repositories().filter(({ project }) => project === key)
  const json = (project: ProjectRecord, used: number | null) => projectJson(project, repositories(project), used)
  const whole = async (project: ProjectRecord) => {
    const scopes = repositories(project).map(({ scope }) => scope)
    return json(project, await usage(...scopes))
  }
  return [
    endpoint({
      name: 'projects.list',
      method: 'GET',
      path: `${API}/projects`,
      summary: 'Projects that you are a member of; for administrators and auditors all',
      access: 'authenticated',
      query: pageQuery,
      reply: pageOf(projectShape),
      handle: async ({ principal, query }) => {
        const seen = metadata.accessAll('project').filter((project) => gate.seesProject(principal, project))
        const sorted = seen.sort((a, b) => (a.key < b.key ? -1 : 1))
        const { items, next } = pageFrom(sorted, (project) => project.key, query)
        return { items: items.map((project) => json(project, null)), next }
      },
    }),
    endpoint({
      name: 'projects.create',
      method: 'POST',
      path: `${API}/projects`,
      summary: 'A new project',
      access: 'administrator',
      body: z.strictObject({
        key: z.string().min(1).max(200),
        name: name.optional(),
        description: description.optional(),
        quota_bytes: quota.optional(),
      }),
      reply: projectShape,
      status: 201,
      handle: async ({ body, principal, response, note }) => {
        note.created = body.key
        const { quota_bytes, ...draft } = body
        const project = await projects.create({ ...draft, quota: quota_bytes }, principal.name)
        response.headers.location = `${API}/projects/${project.key}`
        return json(project, 0)
      },
    }),
    endpoint({
      name: 'projects.get',
      method: 'GET',
      path: `${API}/projects/{key}`,
      summary: 'One project',
      access: { project: 'see' },
      reply: projectShape,
      handle: async ({ project }) => whole(project),
    }),
    endpoint({
      name: 'projects.update',
      method: 'PATCH',
      path: `${API}/projects/{key}`,
      summary: 'Changes a project; its quota as administrator of the system only',
      access: { project: 'manage' },
      body: z.strictObject({
        name: name.optional(),
        description: description.optional(),
        quota_bytes: quota.optional(),
      }),
      reply: projectShape,
      handle: async ({ project, body, principal }) => {
        if (body.quota_bytes !== undefined && !gate.mayAdminister(principal))
          throw new RegistryError('forbidden', 'Only a system administrator changes quotas')
        const { quota_bytes, ...changes } = body
        return whole(await projects.update(project.key, { ...changes, quota: quota_bytes }, principal.name))
      },
    }),
    endpoint({
      name: 'projects.delete',
      method: 'DELETE',
      path: `${API}/projects/{key}`,
      summary: 'Removes a project that has no repositories, with its service accounts',
      access: 'administrator',
      reply: 'empty',
      handle: async ({ params, principal }) => projects.remove(params.key, principal.name),
    }),
  ]
}

function memberEndpoints({ projects }: ProjectsOptions): Endpoint[] {
  const set = async (
    project: ProjectRecord,
    member: Omit<Membership, 'role'>,
    as: string | undefined,
    by: string,
  ): Promise<void> => {
    await projects.setMember(project.key, member, as, by)
  }
  const body = z.strictObject({ role })
  const access = { project: 'manage' } as const
  const added = 'Gives a role in all repositories of the project, instead of another one'
  return [
    endpoint({
      name: 'project_members.set_user',
      method: 'PUT',
      path: `${API}/projects/{key}/users/{username}`,
      summary: added,
      access,
      body,
      reply: 'empty',
      handle: async ({ project, params, body: { role: as }, principal, note }) => {
        note.role = as
        await set(project, { kind: 'user', name: params.username }, as, principal.name)
      },
    }),
    endpoint({
      name: 'project_members.set_group',
      method: 'PUT',
      path: `${API}/projects/{key}/groups/{name}`,
      summary: added,
      access,
      body,
      reply: 'empty',
      handle: async ({ project, params, body: { role: as }, principal, note }) => {
        note.role = as
        await set(project, { kind: 'group', name: params.name }, as, principal.name)
      },
    }),
    endpoint({
      name: 'project_members.remove_user',
      method: 'DELETE',
      path: `${API}/projects/{key}/users/{username}`,
      summary: 'Takes a user out of the project',
      access,
      reply: 'empty',
      handle: async ({ project, params, principal }) =>
        set(project, { kind: 'user', name: params.username }, undefined, principal.name),
    }),
    endpoint({
      name: 'project_members.remove_group',
      method: 'DELETE',
      path: `${API}/projects/{key}/groups/{name}`,
      summary: 'Takes a group out of the project',
      access,
      reply: 'empty',
      handle: async ({ project, params, principal }) =>
        set(project, { kind: 'group', name: params.name }, undefined, principal.name),
    }),
  ]
}

function serviceAccountEndpoints({ projects }: ProjectsOptions): Endpoint[] {
  return [
    endpoint({
      name: 'service_accounts.list',
      method: 'GET',
      path: `${API}/projects/{key}/service-accounts`,
      summary: 'Accounts that the project owns: they have tokens and no password',
      access: { project: 'see' },
      query: pageQuery,
      reply: pageOf(userShape),
      handle: async ({ project, query }) => {
        const { items, next } = pageFrom(projects.serviceAccounts(project.key), (user) => user.name, query)
        return { items: items.map(userJson), next }
      },
    }),
    endpoint({
      name: 'service_accounts.create',
      method: 'POST',
      path: `${API}/projects/{key}/service-accounts`,
      summary: 'A new service account; with a role it is a member of the project, too',
      access: { project: 'manage' },
      body: z.strictObject({ username: z.string().min(1).max(63), role: role.optional() }),
      reply: userShape,
      status: 201,
      handle: async ({ project, body, principal, note }) => {
        note.created = body.username
        const user = await projects.createServiceAccount(project, body.username, principal.name)
        if (body.role !== undefined)
          await projects.setMember(project.key, { kind: 'user', name: user.name }, body.role, principal.name)
        return userJson(user)
      },
    }),
    endpoint({
      name: 'service_accounts.delete',
      method: 'DELETE',
      path: `${API}/projects/{key}/service-accounts/{name}`,
      summary: 'Removes a service account with its tokens and grants',
      access: { project: 'manage' },
      reply: 'empty',
      handle: async ({ project, params, principal }) =>
        projects.removeServiceAccount(project, params.name, principal.name),
    }),
  ]
}

function projectJson(
  project: ProjectRecord,
  repositories: readonly { key: string }[],
  used: number | null,
): z.input<typeof projectShape> {
  const { key, name: called, description: said, members, quota: limit, createdAt } = project
  return {
    key,
    name: called,
    description: said,
    members: members.map(({ kind, name: who, role: as }) => ({
      user: kind === 'user' ? who : null,
      group: kind === 'group' ? who : null,
      role: as,
    })),
    quota_bytes: limit ?? null,
    used_bytes: used,
    repositories: repositories.map((repository) => repository.key),
    created_at: createdAt,
  }
}
