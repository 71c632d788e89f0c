/**
 * Who may do something, and what somebody may do, each with everything that speaks for or against it: made from the same sources and by
 * the same rule as every decision, so that it cannot say anything else.
 */
import { z } from 'zod'
import type { Gate } from '../access/gate.js'
import { ACTIONS } from '../access/roles.js'
import { decideBy, isEver, ruleFor, type Source, sentenceOf, sourcesOf, speaksOf } from '../access/rule.js'
import { RegistryError } from '../errors.js'
import type { Metadata, Principal } from '../ports.js'
import type { Action, RepositoryRecord } from '../records.js'
import { type Endpoint, endpoint } from './endpoint.js'
import { pageFrom, pageOf, pageQuery } from './page.js'
import { actions } from './shapes.js'

const path = z.string().max(4096).optional().meta({ description: 'Left out: the repository as a whole' })

const sourceShape = z
  .object({
    effect: z.enum(['allow', 'deny']),
    actions: z.array(actions),
    path: z.string().meta({ description: 'What paths begin with that it is about; empty is all' }),
    grant: z.string().nullable().meta({ description: 'Its id' }),
    project: z.string().nullable(),
    role: z.string().nullable(),
    group: z.string().nullable().meta({ description: 'Through which it comes' }),
    reason: z.string().meta({ description: 'One sentence' }),
  })
  .meta({ id: 'AccessSource' })

const whoShape = z
  .object({ username: z.string(), reason: z.string(), sources: z.array(sourceShape) })
  .meta({ id: 'WhoMay' })

const whatShape = z
  .object({
    repository: z.string(),
    actions: z.array(actions).meta({ description: 'That are allowed; without a path in the question, on all paths' }),
    partly: z.array(actions).meta({ description: 'That are allowed on some paths' }),
    sources: z.array(sourceShape),
  })
  .meta({ id: 'WhatOneMay' })

export function accessEndpoints(metadata: Metadata, gate: Gate): Endpoint[] {
  return [
    endpoint({
      name: 'access.who',
      method: 'GET',
      path: '/api/v1/repositories/{key}/access',
      summary: 'Who may do something in a repository, and why; the user anonymous is everybody',
      access: { repository: 'audit' },
      query: pageQuery.extend({ action: actions.default('read'), path }),
      reply: pageOf(whoShape),
      handle: async ({ repository, query }) => {
        const may = whoMay(metadata, gate, repository, query.action, query.path)
        const { items, next } = pageFrom(may, ({ username }) => username, query)
        return { items, next }
      },
    }),
    endpoint({
      name: 'access.what',
      method: 'GET',
      path: '/api/v1/users/{username}/access',
      summary: 'What a user may do, and why: in each repository where something is said about it',
      access: 'authenticated',
      query: pageQuery.extend({ repository: z.string().max(64).optional(), path }),
      reply: pageOf(whatShape).extend({ is_admin: z.boolean(), is_disabled: z.boolean() }),
      handle: async ({ params, principal, query }) => {
        const asked = asking(metadata, gate, principal, params.username)
        const all = metadata
          .repositories()
          .filter((record) => (query.repository ?? record.key) === record.key && gate.sees(principal, record))
        const said = asked.user?.disabled ? [] : all.map((record) => whatIn(gate, asked, record, query.path))
        const { items, next } = pageFrom(
          said.filter(({ sources }) => sources.length > 0),
          ({ repository }) => repository,
          query,
        )
        return { items, next, is_admin: asked.user?.admin ?? false, is_disabled: asked.user?.disabled ?? false }
      },
    }),
  ]
}

/** Those who may, by name, anonymous first where it may. */
function whoMay(
  metadata: Metadata,
  gate: Gate,
  repository: RepositoryRecord,
  action: Action,
  asked: string | undefined,
): z.input<typeof whoShape>[] {
  const users = metadata.accessAll('user').filter(({ disabled }) => !disabled)
  const principals = [gate.anonymous, ...users.map((user) => ({ name: user.name, user, token: undefined }))]
  return principals
    .flatMap((principal) => {
      const { allowed, reason } = decideBy(ruleFor(principal, action, repository, gate.context), asked)
      if (!allowed) return []
      const sources = saidOf(gate, principal, repository).filter((source) => speaksOf(source, action))
      return [{ username: principal.name, reason, sources: sources.map(sourceJson) }]
    })
    .sort((a, b) => (a.username < b.username ? -1 : 1))
}

function whatIn(
  gate: Gate,
  principal: Principal,
  record: RepositoryRecord,
  asked: string | undefined,
): z.input<typeof whatShape> {
  const rules = ACTIONS.map((action) => ({ action, rule: ruleFor(principal, action, record, gate.context) }))
  const allowed = rules.filter(({ rule }) => decideBy(rule, asked).allowed).map(({ action }) => action)
  return {
    repository: record.key,
    actions: allowed,
    partly: rules.flatMap(({ action, rule }) => (!allowed.includes(action) && isEver(rule) ? [action] : [])),
    sources: saidOf(gate, principal, record).map(sourceJson),
  }
}

/** The principal that a question is about. Oneself as one is: a narrowed token learns what it may itself. */
function asking(metadata: Metadata, gate: Gate, principal: Principal, username: string): Principal {
  if (principal.user?.name === username) return principal
  const audits = gate.mayAudit(principal)
  if (audits && username === gate.anonymous.name) return gate.anonymous
  const user = audits ? metadata.access('user', username) : undefined
  if (!user) throw new RegistryError('missing', `There is no user ${username} that you may see`)
  return { name: user.name, user, token: undefined }
}

function saidOf(gate: Gate, principal: Principal, repository: RepositoryRecord): Source[] {
  const sources = sourcesOf(principal, repository, gate.context)
  const { user } = principal
  return user?.admin
    ? [
        {
          by: 'administrator',
          effect: 'allow',
          actions: ACTIONS,
          path: '',
          subject: { kind: 'user', name: user.name },
        },
        ...sources,
      ]
    : sources
}

function sourceJson(source: Source): z.input<typeof sourceShape> {
  const { effect, actions: named, path: below, subject } = source
  return {
    effect,
    actions: [...named],
    path: below,
    grant: (source.by === 'grant' && source.id) || null,
    project: (source.by === 'project' && source.id) || null,
    role: source.role ?? null,
    group: subject.kind === 'group' ? subject.name : null,
    reason: sentenceOf(source),
  }
}
