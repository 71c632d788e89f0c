/** An authenticator (WebAuthn level 3, section 6) with one passkey on ES256: answers what a browser would pass on, and lies on request. */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'

export interface Lies {
  origin?: string
  challenge?: string
  site?: string
  type?: string
  /** Of the credential's id and of its owner. */
  id?: string
  handle?: string
  counter?: number
  /** Default: the person is there and verified. */
  flags?: number
  signature?: Uint8Array
}

interface Options {
  challenge: string
  rp?: { id: string }
  rpId?: string
  user?: { id: string }
}

const PRESENT = 0x01
const PRESENT_AND_VERIFIED = 0x05
const HAS_CREDENTIAL = 0x40

export class Authenticator {
  readonly id = randomBytes(32).toString('base64url')
  handle = ''
  /** 0: it does not count. */
  counter = 0
  readonly #origin: string
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })

  constructor(origin: string) {
    this.#origin = origin
  }

  /** The response to `options` for making a passkey, as JSON text. */
  make(options: object, lies: Lies = {}): string {
    const { challenge, rp, user } = options as Options
    this.handle = user?.id ?? ''
    const { x = '', y = '' } = this.#keys.publicKey.export({ format: 'jwk' })
    const key = Buffer.concat([
      Buffer.from('a5010203262001215820', 'hex'),
      Buffer.from(x, 'base64url'),
      Buffer.from('225820', 'hex'),
      Buffer.from(y, 'base64url'),
    ])
    const id = Buffer.from(lies.id ?? this.id, 'base64url')
    const length = Buffer.from([id.length >> 8, id.length & 0xff])
    const flags = (lies.flags ?? PRESENT_AND_VERIFIED) | HAS_CREDENTIAL
    const head = authenticatorData(lies.site ?? rp?.id ?? '', flags, lies.counter ?? this.counter)
    const data = Buffer.concat([head, Buffer.alloc(16), length, id, key])
    // {fmt: 'none', attStmt: {}, authData: data}
    const attested = Buffer.concat([
      Buffer.from('a363666d74646e6f6e656761747453746d74a068617574684461746158', 'hex'),
      Buffer.from([data.length]),
      data,
    ])
    return this.#answer(id.toString('base64url'), {
      clientDataJSON: this.#client('webauthn.create', challenge, lies),
      attestationObject: attested.toString('base64url'),
    })
  }

  /** The response to `options` for using it, as JSON text. */
  use(options: object, lies: Lies = {}): string {
    const { challenge, rpId } = options as Options
    if (this.counter > 0) this.counter++
    const data = authenticatorData(
      lies.site ?? rpId ?? '',
      lies.flags ?? PRESENT_AND_VERIFIED,
      lies.counter ?? this.counter,
    )
    const client = this.#client('webauthn.get', challenge, lies)
    const hash = createHash('sha256').update(Buffer.from(client, 'base64url')).digest()
    const signature = lies.signature ?? sign('sha256', Buffer.concat([data, hash]), this.#keys.privateKey)
    return this.#answer(lies.id ?? this.id, {
      clientDataJSON: client,
      authenticatorData: data.toString('base64url'),
      signature: Buffer.from(signature).toString('base64url'),
      userHandle: lies.handle ?? this.handle,
    })
  }

  #client(type: string, challenge: string, lies: Lies): string {
    const said = { type, challenge, origin: this.#origin, crossOrigin: false, ...only(lies) }
    return Buffer.from(JSON.stringify(said)).toString('base64url')
  }

  #answer(id: string, response: object): string {
    return JSON.stringify({ id, rawId: id, type: 'public-key', clientExtensionResults: {}, response })
  }
}

export const UNVERIFIED = PRESENT

function only({ type, challenge, origin }: Lies): object {
  return Object.fromEntries(Object.entries({ type, challenge, origin }).filter(([, value]) => value !== undefined))
}

function authenticatorData(site: string, flags: number, counter: number): Buffer {
  const count = Buffer.alloc(4)
  count.writeUInt32BE(counter)
  return Buffer.concat([createHash('sha256').update(site).digest(), Buffer.from([flags]), count])
}
