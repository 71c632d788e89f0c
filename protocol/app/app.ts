/**
 * The order in which a process looks for who answers a request: itself (health, readiness, metrics), the pages and interfaces
 * that it was given, then the repositories. The same on both sides.
 */
import { RegistryError } from '../errors.js'
import { json, type Reply } from '../http/reply.js'
import type { HttpRequest } from '../http/request.js'
import { problem, statusOf } from '../http/status.js'
import { errorFields, type Logger } from '../observe/log.js'
import type { Metrics } from '../observe/metrics.js'
import type { Registry } from '../registry.js'

export type Handler = (request: HttpRequest) => Promise<Reply> | Reply | undefined

export interface AppOptions {
  /** Tried in order before the repositories; undefined: not mine. */
  handlers: Handler[]
  registry: Registry
  metrics: Metrics
  log: Logger
  health: () => Record<string, unknown>
  /** undefined: ready. Otherwise one sentence that says what is missing. */
  ready: () => Promise<string | undefined>
}

export function app(options: AppOptions): (request: HttpRequest) => Promise<Reply> | Reply {
  const handlers = [ownPaths(options), ...options.handlers]
  return (request) => {
    try {
      for (const handler of handlers) {
        const reply = handler(request)
        if (reply) return reply instanceof Promise ? reply.catch((error) => fail(error, request, options.log)) : reply
      }
      return (
        options.registry.handle(request) ??
        fail(new RegistryError('missing', 'There is nothing at this address'), request, options.log)
      )
    } catch (error) {
      return fail(error, request, options.log)
    }
  }
}

function fail(error: unknown, request: HttpRequest, log: Logger): Reply {
  if (statusOf(error) >= 500 && !request.signal.aborted)
    log.error({ id: request.id, ...errorFields(error) }, 'request failed')
  return problem(error, request)
}

function ownPaths(options: AppOptions): Handler {
  const reply = (body: unknown, status = 200) => json(body, status, { 'cache-control': 'no-store' })
  return (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return undefined
    switch (request.path) {
      case '/health':
        return reply({ status: 'ok', ...options.health() })
      case '/ready':
        return options
          .ready()
          .then((missing) =>
            missing === undefined ? reply({ status: 'ready' }) : reply({ status: 'not ready', detail: missing }, 503),
          )
      case '/metrics':
        return options.metrics
          .text()
          .then((body) => ({ status: 200, headers: { 'content-type': options.metrics.contentType }, body }))
      default:
        return undefined
    }
  }
}
