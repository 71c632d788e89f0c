/** Answers whoever holds the operator's recovery key, for a primary that has nothing left (protocol/recovery/request.ts). */
import { createHmac, randomBytes } from 'node:crypto'
import type { Handler } from '../protocol/app/app.js'
import { RegistryError } from '../protocol/errors.js'
import { json, type Reply } from '../protocol/http/reply.js'
import type { HttpRequest } from '../protocol/http/request.js'
import type { PublicHalves } from '../protocol/recovery/key.js'
import { isSigned, RESCUE, RESCUE_HEADER, RESCUE_LOG } from '../protocol/recovery/request.js'
import { sealTo } from '../protocol/recovery/sealed.js'
import { encodeFrame } from '../protocol/wire/feed.js'
import type { Replica } from './replica/replica.js'

export interface RescuingOptions {
  node: string
  name: string
  fleet: string
  replica: Pick<Replica, 'head' | 'beginnings' | 'recovery' | 'tail'>
  nowMs: () => number
}

const GOOD_MS = 3_600_000
const PAGE = 500
const MAX_HEADER_CHARACTERS = 512

export function rescuing({ node, name, fleet, replica, nowMs }: RescuingOptions): Handler {
  // Challenges are not remembered: whoever asks for many costs nothing.
  const secret = randomBytes(32)
  const tagOf = (until: string) => createHmac('sha256', secret).update(until).digest('base64url')
  const challenge = () => {
    const until = String(nowMs() + GOOD_MS)
    return `${until}.${tagOf(until)}`
  }
  const isOurs = (text: string) => {
    const [until = '', tag = ''] = text.split('.')
    return tag === tagOf(until) && Number(until) > nowMs()
  }

  const checked = (request: HttpRequest): PublicHalves => {
    const known = keyOf(replica)
    const header = request.headers.get(RESCUE_HEADER) ?? ''
    const [text = '', signature = ''] = header.length > MAX_HEADER_CHARACTERS ? [] : header.split(' ')
    if (isOurs(text) && isSigned({ fleet, node, challenge: text }, signature, known.signing)) return known
    throw new RegistryError(
      'forbidden',
      'This is not the recovery key of this fleet: take the file that cairn recovery create wrote last',
      {
        code: 'recovery_key_wrong',
      },
    )
  }

  const log = async (request: HttpRequest): Promise<Reply> => {
    const { sealing } = checked(request)
    const after = Number(new URLSearchParams(request.query).get('after') ?? 'none')
    if (!Number.isSafeInteger(after) || after < 0) throw new RegistryError('invalid', '"after" is a number of changes')
    const tail = await replica.tail(after, PAGE)
    if (!tail) throw new RegistryError('missing', 'There is nothing newer here, or it is damaged')
    const frames = [
      ...replica.beginnings.map((note) => encodeFrame({ type: 'beginning', note })),
      ...tail.items.map((item) => encodeFrame({ type: 'item', item })),
      encodeFrame({ type: 'checkpoint', note: tail.note }),
    ]
    const body = sealTo(Buffer.from(sealing, 'base64url'), RESCUE_LOG, Buffer.concat(frames))
    return { status: 200, headers: { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' }, body }
  }

  return (request) => {
    if (!request.path.startsWith(RESCUE)) return undefined
    switch (`${request.method} ${request.path.slice(RESCUE.length)}`) {
      case 'POST challenge': {
        keyOf(replica)
        const { epoch, number } = replica.head
        return json({ challenge: challenge(), fleet, node, name, epoch, number }, 200, { 'cache-control': 'no-store' })
      }
      case 'GET log':
        return log(request)
      default:
        throw new RegistryError('missing', 'There is nothing at this address')
    }
  }
}

function keyOf({ recovery }: Pick<Replica, 'recovery'>): PublicHalves {
  if (recovery) return recovery
  throw new RegistryError('missing', 'This node knows no recovery key: none was made while it could hear of it', {
    code: 'recovery_key_unknown',
  })
}
