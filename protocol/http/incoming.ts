/**
 * The request as handlers see it. What costs something and few handlers ask for (signal, addresses, a generated id) is made
 * when it is first asked for.
 */
import { RegistryError } from '../errors.js'
import { type AddressList, addressText } from './address.js'
import { type Forwarded, forwarded } from './forwarded.js'
import { type Inbox, NOTHING } from './inbox.js'
import type { Origins } from './origin.js'
import type { Outlet } from './outlet.js'
import type { HttpRequest } from './request.js'

/** What a request needs of its server. */
export interface Surroundings {
  trusted: AddressList
  origins: Origins
  nextId(): string
}

export interface RequestLine {
  method: string
  path: string
  query: string
}

export class Incoming implements HttpRequest {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: ReadonlyMap<string, string>
  readonly length: number | undefined
  readonly chunked: boolean
  readonly startedAt = performance.now()
  /** Set by the exchange that receives the body. */
  inbox: Inbox | undefined
  readonly #around: Surroundings
  #out: Outlet | undefined
  #id: string | undefined
  #peer: string | undefined
  #forwarded: Forwarded | undefined
  #controller: AbortController | undefined
  #lost: RegistryError | undefined

  constructor(line: RequestLine, headers: ReadonlyMap<string, string>, out: Outlet, around: Surroundings) {
    this.method = line.method
    this.path = line.path
    this.query = line.query
    this.headers = headers
    const length = headers.get('content-length')
    this.length = length === undefined ? undefined : Number(length)
    this.chunked = headers.has('transfer-encoding')
    this.#out = out
    this.#around = around
  }

  get hasBody(): boolean {
    return this.chunked || (this.length ?? 0) > 0
  }

  get id(): string {
    if (this.#id === undefined) {
      const given = this.headers.get('x-request-id')
      this.#id = given !== undefined && REQUEST_ID.test(given) ? given : this.#around.nextId()
    }
    return this.#id
  }

  /** Did the client choose the id. */
  get traced(): boolean {
    return this.id === this.headers.get('x-request-id')
  }

  get body(): AsyncIterable<Uint8Array> {
    return this.inbox ?? NOTHING
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#lost !== undefined) this.#controller.abort(this.#lost)
    return this.#controller.signal
  }

  get remote(): string {
    return this.#around.trusted.empty ? this.#address : this.#seen.remote
  }

  get origin(): string {
    const { origins, trusted } = this.#around
    return origins(this.headers.get('host') ?? '', trusted.empty ? undefined : this.#seen)
  }

  /** Reads what only the living connection can tell, for those who ask when it is gone. */
  remember(): void {
    this.#peer = this.#address
  }

  /** The response has ended or the client went away: the connection cannot be asked any more. */
  detach(): void {
    this.#out = undefined
  }

  /** The client went away. */
  lose(): void {
    this.#lost = new RegistryError('invalid', 'The client went away', { code: 'client_gone' })
    this.#controller?.abort(this.#lost)
    this.inbox?.fail(this.#lost)
  }

  get #address(): string {
    this.#peer ??= this.#out === undefined ? '' : addressText(new Uint8Array(this.#out.getRemoteAddress()))
    return this.#peer
  }

  get #seen(): Forwarded {
    this.#forwarded ??= forwarded(this.#address, this.headers, this.#around.trusted)
    return this.#forwarded
  }
}

const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/
