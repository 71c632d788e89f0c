/** What a hostile node does with the requests of its peers: three kinds, each against another promise of the swarm. */
import type { Handler } from '../../node/mesh/mesh.js'
import { geometryOf } from '../../node/mesh/pieces.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Stored } from '../../protocol/records.js'
import { decodePieceAsk, encodeSwarmNews } from '../../protocol/wire/swarm.js'
import type { Post } from './post.js'

const KINDS = [flips, withholds, claims]

/** `which` chooses the kind. */
export function corrupt(post: Post, stored: Stored, which: number): void {
  KINDS[which % KINDS.length]?.(post, stored)
}

/** Right in everything but one bit of every piece. */
function flips(post: Post): void {
  const honest = post.handler('piece')
  post.handle('piece', async function* (from, payload, signal) {
    for await (const part of honest(from, payload, signal)) {
      const bytes = Uint8Array.from(part)
      if (bytes.length > 8192) bytes[7] = (bytes[7] ?? 0) ^ 1
      yield bytes
    }
  })
}

/** Takes part in everything, and never sends a piece. */
function withholds(post: Post): void {
  post.handle('piece', async function* (_from, payload, signal) {
    decodePieceAsk(payload)
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  })
}

/** Says that it has everything, and has nothing. */
function claims(post: Post, stored: Stored): void {
  const { pieces, pieceLeaves } = geometryOf(stored.size)
  const everything: Handler = async function* (_from, _payload, signal) {
    yield encodeSwarmNews({ have: { pieceLeaves, bitmap: new Uint8Array(Math.ceil(pieces / 8)).fill(0xff) } })
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  }
  post.handle('swarm', everything)

  // biome-ignore lint/correctness/useYield: that is the attack
  post.handle('piece', async function* () {
    throw new RegistryError('missing', 'This node does not have the piece')
  })
}
