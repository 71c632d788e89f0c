/** A real SAML identity provider (samlp) with people in memory, and a page on which one says who one is. */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
// @ts-expect-error: the package has no types.
import samlp from 'samlp'
import { idpMetadata, samlKeys } from './saml.js'

export interface TestSamlProvider {
  url: string
  issuer: string
  /** Asked for by address: `{url}/metadata`. */
  metadata: string
  /** Attributes, by NameID; who is not here cannot log in. */
  people: Map<string, Record<string, string | string[]>>
  /** Whether who logged in is still logged in here. */
  isLoggedIn(nameId: string): boolean
  /** From then on only what is signed with this certificate's key is answered. */
  trust(certificate: string): void
  close(): Promise<void>
}

interface Participant {
  serviceProviderId: string
  nameId: string
  sessionIndex: string
  serviceProviderLogoutURL: string
  cert: string
  binding?: string
}

/** As much of express as samlp needs. */
interface Asked extends IncomingMessage {
  query: Record<string, string>
  body: Record<string, string>
}

const REDIRECT = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect'
const POST = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'

/** For the provider `corp` of this registry. */
export async function testSamlProvider(registry: string): Promise<TestSamlProvider> {
  const { key, certificate } = await samlKeys()
  const people: TestSamlProvider['people'] = new Map()
  const participants: Participant[] = []
  const states = new Map<string, object>()
  let trusted = ''
  const server = createServer((request, response) => {
    void answer(request, response).catch((error) => response.writeHead(500).end(String(error)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const issuer = `${url}/metadata`
  const metadata = idpMetadata(issuer, url, [certificate])
  const common = { issuer, key, cert: certificate, signatureAlgorithm: 'rsa-sha256', digestAlgorithm: 'sha256' }
  const base = `${registry}/admin/login/corp`

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', url)
    const asked = Object.assign(request, { query: Object.fromEntries(searchParams), body: await formOf(request) })
    const reply = expressLike(response)
    const failed = (error: unknown) => response.writeHead(400).end(String(error))
    if (pathname === '/metadata') response.end(metadata)
    else if (pathname === '/sso') signOn(asked, reply, failed)
    else logout(asked, reply, failed)
  }
  const signOn = (asked: Asked, reply: object, failed: (error: unknown) => void) => {
    const { nameId } = asked.body
    const attributes = people.get(nameId ?? '')
    if (nameId === undefined || !attributes) {
      const page = '<form method="post"><input name="nameId"><button>Log in</button></form>'
      // What was asked is checked before anybody is asked who they are.
      samlp.parseRequest(asked, { signingCert: trusted }, (error: unknown) =>
        error ? failed(error) : (reply as { send(page: string): void }).send(page),
      )
      return
    }
    const sessionIndex = randomBytes(8).toString('hex')
    const participant = { serviceProviderId: `${base}/metadata`, nameId, sessionIndex }
    participants.push({ ...participant, serviceProviderLogoutURL: `${base}/slo`, cert: trusted, binding: REDIRECT })
    samlp.auth({
      ...common,
      sessionIndex,
      destination: `${base}/callback`,
      recipient: `${base}/callback`,
      profileMapper: () => ({
        getClaims: () => attributes,
        getNameIdentifier: () => ({ nameIdentifier: nameId }),
      }),
      getUserFromRequest: () => ({}),
      getPostURL: (_audience: string, _dom: unknown, _asked: unknown, next: (error: null, url: string) => void) =>
        next(null, `${base}/callback`),
    })(asked, reply, failed)
  }
  const logout = (asked: Asked, reply: object, failed: (error: unknown) => void) => {
    const { by } = asked.query
    for (const participant of participants) if (by !== undefined) participant.binding = by === 'form' ? POST : REDIRECT
    const remaining = participants
    samlp.logout({
      ...common,
      deflate: true,
      protocolBinding: REDIRECT,
      sessionParticipants: new Participants(remaining),
      store: {
        save: (_asked: unknown, state: object, next: (error: null, handle: string) => void) => {
          const handle = randomBytes(8).toString('hex')
          states.set(handle, state)
          next(null, handle)
        },
        load: (_asked: unknown, handle: string, ...rest: unknown[]) =>
          (rest.at(-1) as (error: null, state: unknown) => void)(null, states.get(handle)),
        update: (_asked: unknown, handle: string, state: object, next: (error: null) => void) => {
          states.set(handle, state)
          next(null)
        },
      },
    })(asked, reply, failed)
  }
  return {
    url,
    issuer,
    metadata,
    people,
    isLoggedIn: (nameId) => participants.some((one) => one.nameId === nameId),
    trust: (own) => {
      trusted = own
    },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

/** As samlp's own, which is not exported. */
class Participants {
  readonly #all: Participant[]

  constructor(all: Participant[]) {
    this.#all = all
  }

  get(
    id: string,
    indexes: string[] | undefined,
    nameId: string,
    next: (error: null, found?: Participant) => void,
  ): void {
    next(null, this.#all[this.#find(id, indexes ?? [], nameId)])
  }

  hasElements(): boolean {
    return this.#all.length > 0
  }

  getFirst(next: (error: null, found?: Participant) => void): void {
    next(null, this.#all[0])
  }

  remove(id: string, index: string, nameId: string, next: (error: null) => void): void {
    const at = this.#find(id, [index], nameId)
    if (at !== -1) this.#all.splice(at, 1)
    next(null)
  }

  #find(id: string, indexes: string[], nameId: string): number {
    return this.#all.findIndex(
      (one) => one.serviceProviderId === id && indexes.includes(one.sessionIndex) && one.nameId === nameId,
    )
  }
}

async function formOf(request: IncomingMessage): Promise<Record<string, string>> {
  let body = ''
  for await (const chunk of request) body += chunk
  return Object.fromEntries(new URLSearchParams(body))
}

function expressLike(response: ServerResponse): object {
  return Object.assign(response, {
    set: (name: string, value: string) => response.setHeader(name, value),
    send: (what: string | number) => {
      if (typeof what === 'number') response.writeHead(what).end('done')
      else response.setHeader('content-type', 'text/html').end(what)
    },
    redirect: (to: string) => response.writeHead(302, { location: to }).end(),
  })
}
