/**
 * Runs endpoints: path, method, who may, query, body, handler, reply; in this order, so that nobody learns from a validation
 * error what they may not see. Everything that changes something is handed to the audit trail, refusals included.
 */

import type { Gate } from '../access/gate.js'
import { demand, demandLook, noRepository, refusal, refuseCrossSite } from '../access/refusal.js'
import { RegistryError } from '../errors.js'
import { parsePath } from '../http/path.js'
import { empty, json, type Reply } from '../http/reply.js'
import type { HttpRequest } from '../http/request.js'
import { notAllowed } from '../http/status.js'
import type { Metadata, Principal } from '../ports.js'
import type { ProjectRecord } from '../records.js'
import { POSITION_HEADER } from '../wire/identity.js'
import { check, readJson } from './body.js'
import type { Endpoint, ErasedAsk, Requirement } from './endpoint.js'
import { type Match, matcher } from './match.js'

export interface AuditedRequest {
  who: string
  action: string
  subject: string
  outcome: string
  requestId: string
  remote: string
  detail: Record<string, string | number | boolean | null>
}

export interface ApiOptions {
  metadata: Pick<Metadata, 'repository' | 'access' | 'head'>
  gate: Gate
  audit?: (entry: AuditedRequest) => Promise<void>
}

/** undefined: no endpoint has this path. Rejects with what handlers throw; http/status.ts makes replies of it. */
export type Api = (request: HttpRequest, principal: Principal) => Promise<Reply> | undefined

const SAFE = new Set(['GET', 'HEAD'])

export function serveApi(endpoints: readonly Endpoint[], options: ApiOptions): Api {
  const find = matcher(endpoints)
  return (request, principal) => {
    const matches = find(parsePath(request.path).path)
    if (matches.length === 0) return undefined
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const match = matches.find(({ endpoint }) => endpoint.method === method)
    return match ? run(match, request, principal, options) : methodNotAllowed(matches, request)
  }
}

async function run(match: Match, request: HttpRequest, principal: Principal, options: ApiOptions): Promise<Reply> {
  const { endpoint } = match
  if (endpoint.asks) refuseCrossSite(request)
  if (endpoint.asks || SAFE.has(request.method)) return answer(match, request, principal, options, {})
  const note: ErasedAsk['note'] = {}
  const { audit } = options
  const record = (outcome: string): Promise<void> | undefined =>
    audit?.({
      who: typeof note.user === 'string' ? note.user : principal.name,
      action: endpoint.name,
      subject: request.path,
      outcome,
      requestId: request.id,
      remote: request.remote,
      detail: note,
    })
  let reply: Reply
  try {
    refuseCrossSite(request)
    // Before anything is done: what cannot be written down is not done, and what a crash cut short is in the trail.
    if (endpoint.access === 'administrator' && options.gate.mayAdminister(principal)) await record('begun')
    reply = await answer(match, request, principal, options, note)
  } catch (error) {
    if (worthRecording(error, principal, note)) await record(error instanceof RegistryError ? error.code : 'internal')
    throw error
  }
  await record('ok')
  const { epoch, number } = options.metadata.head
  return { ...reply, headers: { ...reply.headers, [POSITION_HEADER]: `${epoch}.${number}` } }
}

async function answer(
  match: Match,
  request: HttpRequest,
  principal: Principal,
  options: ApiOptions,
  note: ErasedAsk['note'],
): Promise<Reply> {
  const { endpoint, params } = match
  const on = authorize(endpoint, params, principal, options)
  const query = endpoint.query ? check(queryOf(request.query), endpoint.query, 'query') : undefined
  const body = typeof endpoint.body === 'object' ? await readJson(request, endpoint.body) : undefined
  const response: ErasedAsk['response'] = { status: endpoint.status, headers: { 'cache-control': 'no-store' } }
  const value = await endpoint.handle({ params, query, body, principal, request, ...on, response, note })
  if (endpoint.reply === 'raw') return value as Reply
  return endpoint.reply === 'empty'
    ? empty(response.status, response.headers)
    : json(value, response.status, response.headers)
}

function authorize(
  { access }: Endpoint,
  params: Record<string, string>,
  principal: Principal,
  { gate, metadata }: ApiOptions,
): Pick<ErasedAsk, 'repository' | 'project'> {
  if (typeof access === 'string') {
    refuseOthers(access, principal, gate)
    return {}
  }
  const { key = '' } = params
  if ('project' in access) return { project: demandProject(gate, principal, access.project, key, metadata) }
  const repository = metadata.repository(key)
  if (!repository || !gate.sees(principal, repository)) throw noRepository(key)
  if (access.repository === 'look') demandLook(gate, principal, repository, params.path)
  else if (access.repository !== 'see') demand(gate, principal, access.repository, repository, params.path)
  return { repository }
}

function refuseOthers(access: Requirement & string, principal: Principal, gate: Gate): void {
  if (access === 'authenticated' && !principal.user) throw refusal(gate, principal, 'Only a user can do this.')
  if (access === 'auditor' && !gate.mayAudit(principal))
    throw refusal(gate, principal, 'Only an administrator or an auditor can do this.')
  if (access === 'administrator' && !gate.mayAdminister(principal))
    throw refusal(gate, principal, 'Only an administrator can do this.')
  if (access === 'provisioner' && gate.provisionsFor(principal) === undefined && !gate.mayAdminister(principal))
    throw refusal(gate, principal, "Only an identity provider's own token can do this.")
}

function demandProject(
  gate: Gate,
  principal: Principal,
  action: 'see' | 'manage',
  key: string,
  metadata: ApiOptions['metadata'],
): ProjectRecord {
  const project = metadata.access('project', key)
  if (!project || !gate.seesProject(principal, project))
    throw new RegistryError('missing', `There is no project ${key} that you may see`)
  if (action === 'manage' && !gate.manages(principal, project))
    throw refusal(gate, principal, 'Only who administers the project can do this.')
  return project
}

/** What strangers get refused is counted elsewhere: it must not fill the trail. */
function worthRecording(error: unknown, principal: Principal, note: ErasedAsk['note']): boolean {
  const throttled = error instanceof RegistryError && error.kind === 'throttled'
  return !throttled && (principal.user !== undefined || typeof note.user === 'string')
}

/** A parameter that is given twice is refused by the schema, since it then is a list. */
function queryOf(query: string): Record<string, string | string[]> {
  const values: Record<string, string | string[]> = Object.create(null)
  const parameters = new URLSearchParams(query)
  for (const name of new Set(parameters.keys())) {
    const all = parameters.getAll(name)
    values[name] = all.length > 1 ? all : (all[0] ?? '')
  }
  return { ...values }
}

async function methodNotAllowed(matches: Match[], request: HttpRequest): Promise<Reply> {
  const methods = new Set(
    matches.flatMap(({ endpoint }) => (endpoint.method === 'GET' ? ['GET', 'HEAD'] : [endpoint.method])),
  )
  return notAllowed(request.method, [...methods].sort(), request)
}
