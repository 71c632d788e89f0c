/** An upstream that does what a test tells it: each path has a script, and every request is counted. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

/** `nth`: of this path, from 1. */
export type Answer = (request: IncomingMessage, response: ServerResponse, nth: number) => void

export interface Asked {
  path: string
  headers: IncomingMessage['headers']
}

export interface ScriptedUpstream {
  url: string
  port: number
  asked: Asked[]
  /** Requests of a path. */
  count(path: string): number
  /** What a path answers from now on. */
  answer(path: string, answer: Answer): void
  /** Resolves once a path was asked for so many times. */
  askedFor(path: string, times: number): Promise<void>
  close(): Promise<void>
}

/** `otherwise`: what paths without a script answer. */
export async function scriptedUpstream(otherwise: Answer = status(404)): Promise<ScriptedUpstream> {
  const answers = new Map<string, Answer>()
  const asked: Asked[] = []
  const waiting = new Set<() => void>()
  const count = (path: string) => asked.filter((one) => one.path === path).length
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push({ path, headers: request.headers })
    for (const look of waiting) look()
    response.on('error', () => undefined)
    const answer = answers.get(path) ?? otherwise
    answer(request, response, count(path))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}/`,
    port,
    asked,
    count,
    answer: (path, answer) => void answers.set(path, answer),
    askedFor: (path, times) =>
      new Promise((resolve) => {
        const look = () => {
          if (count(path) < times) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      }),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export function status(code: number, headers: Record<string, string> = {}): Answer {
  return (_, response) => response.writeHead(code, headers).end()
}

export function bytes(body: Uint8Array, headers: Record<string, string> = {}): Answer {
  return (_, response) => response.writeHead(200, { 'content-length': body.length, ...headers }).end(body)
}

/** With a validator; 304 when the client has it. */
export function tagged(body: Uint8Array, headers: Record<string, string> = {}): Answer {
  const etag = `"${createHash('sha256').update(body).digest('hex').slice(0, 16)}"`
  return (request, response) =>
    request.headers['if-none-match'] === etag
      ? response.writeHead(304, { etag }).end()
      : response.writeHead(200, { 'content-length': body.length, etag, ...headers }).end(body)
}

/** One after the other; the last one again and again. */
export function sequence(...answers: Answer[]): Answer {
  return (request, response, nth) => answers[Math.min(nth, answers.length) - 1]?.(request, response, nth)
}

/** Announces everything, sends half, and breaks off. */
export function half(body: Uint8Array): Answer {
  return (_, response) => {
    response.writeHead(200, { 'content-length': body.length })
    response.write(body.subarray(0, body.length / 2), () => response.destroy())
  }
}

/** Accepts and never answers. */
export const hang: Answer = () => undefined

/** A byte now and then. */
export function drip(everyMs: number): Answer {
  return (_, response) => {
    response.writeHead(200)
    const timer = setInterval(() => (response.destroyed ? clearInterval(timer) : response.write('x')), everyMs)
  }
}

export function endless(): Answer {
  return (_, response) => {
    response.writeHead(200)
    const chunk = Buffer.alloc(64 * 1024)
    const more = () => {
      while (!response.destroyed && response.write(chunk));
    }
    response.on('drain', more)
    more()
  }
}

/** A body that stays open until the test lets it go on. */
export function gated(body: Uint8Array, first: number): { answer: Answer; open: () => void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return {
    open: () => open(),
    answer: (_, response) => {
      response.writeHead(200, { 'content-length': body.length })
      response.write(body.subarray(0, first))
      void opened.then(() => response.end(body.subarray(first)))
    },
  }
}
