/** A registry's wire, scripted: files with ranges and digests, uploads in parts, and faults on demand. And a terminal that remembers. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { PassThrough, Writable } from 'node:stream'
import { runProgram } from '../../deploy/program.js'
import type { Terminal } from '../../deploy/terminal.js'

export interface Scripted {
  url: string
  files: Map<string, Buffer>
  /** Method, path, and what else matters, in order. */
  seen: { method: string; path: string; authorization: string; range: string; body: string }[]
  /** Consulted first; true: it has answered. */
  intercept: (request: IncomingMessage, reply: ServerResponse, body: Buffer) => boolean
  close(): Promise<void>
}

export async function scripted(): Promise<Scripted> {
  const uploads = new Map<string, Buffer>()
  const registry: Omit<Scripted, 'url' | 'close'> = { files: new Map(), seen: [], intercept: () => false }
  const server = createServer((request, reply) => {
    void answer(request, reply, registry, uploads).catch(() => reply.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return Object.assign(registry, { url: `http://127.0.0.1:${port}`, close })
}

async function answer(
  request: IncomingMessage,
  reply: ServerResponse,
  registry: Omit<Scripted, 'url' | 'close'>,
  uploads: Map<string, Buffer>,
): Promise<void> {
  const body = await read(request)
  const { method = '', url: path = '', headers } = request
  const range = headers['content-range'] ?? headers.range ?? ''
  const text = String(headers['content-type'] ?? '').includes('json') ? body.toString() : ''
  registry.seen.push({ method, path, authorization: headers.authorization ?? '', range, body: text })
  if (registry.intercept(request, reply, body)) return
  if (method === 'PUT') put(path, headers, body, reply, registry.files, uploads)
  else give(method, path, range, reply, registry.files)
}

function give(
  method: string,
  path: string,
  range: string,
  reply: ServerResponse,
  files: Map<string, Buffer>,
): ServerResponse {
  const file = files.get(path)
  if (!file) return json(reply, 404, { detail: `There is no ${path}`, code: 'missing' })
  const from = Number(/^bytes=(\d+)-$/.exec(range)?.[1] ?? 0)
  reply.setHeader('x-checksum-sha256', sha256(file))
  if (from > 0 && from >= file.length) return reply.writeHead(416, { 'content-range': `bytes */${file.length}` }).end()
  reply.writeHead(from > 0 ? 206 : 200, { 'content-length': file.length - from })
  return reply.end(method === 'HEAD' ? undefined : file.subarray(from))
}

function put(
  path: string,
  headers: IncomingMessage['headers'],
  body: Buffer,
  reply: ServerResponse,
  files: Map<string, Buffer>,
  uploads: Map<string, Buffer>,
): ServerResponse {
  const [, first, total] = /^bytes (\d+|\*)(?:-\d+)?\/(\d+)$/.exec(headers['content-range'] ?? '') ?? []
  const id = `${path} ${headers['x-checksum-sha256']}`
  const before = uploads.get(id) ?? Buffer.alloc(0)
  const at = (bytes: Buffer, status: number) => reply.writeHead(status, { 'upload-offset': bytes.length }).end()
  if (first === '*') return at(before, 202)
  if (first !== undefined && Number(first) !== before.length) return at(before, 416)
  const now = first === undefined ? body : Buffer.concat([before, body])
  uploads.set(id, now)
  if (total !== undefined && now.length < Number(total)) return at(now, 202)
  uploads.delete(id)
  const present = files.get(path)
  if (present && !present.equals(now)) return json(reply, 409, { detail: 'It is there already with other bytes' })
  files.set(path, now)
  return reply.writeHead(present ? 200 : 201, { 'x-checksum-sha256': sha256(now) }).end()
}

export function json(reply: ServerResponse, status: number, value: unknown): ServerResponse {
  return reply.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

export interface Said {
  code: number
  out: string
  err: string
}

export interface Scene {
  folder: string
  environment?: Record<string, string>
  input?: string
}

/** Runs one command line in this process. */
export async function cairn(args: string[], { folder, environment = {}, input = '' }: Scene): Promise<Said> {
  const [out, err] = [collector(), collector()]
  const stdin = new PassThrough()
  stdin.end(input)
  const terminal: Terminal = {
    out: out.stream,
    err: err.stream,
    input: stdin,
    watched: false,
    interactive: false,
    environment,
    home: folder,
    folder,
  }
  const code = await runProgram(args, terminal)
  return { code, out: out.text(), err: err.text() }
}

function collector(): { stream: Writable; text: () => string } {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      chunks.push(Buffer.from(chunk))
      done()
    },
  })
  return { stream, text: () => Buffer.concat(chunks).toString() }
}
