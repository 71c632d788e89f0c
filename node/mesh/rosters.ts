/** Who follows which blob at this node: how a home lets those that want the same bytes find each other. */
import type { Digest } from '../../protocol/records.js'
import { Pulse } from './pulse.js'

export interface Roster {
  /** Beats when somebody joins. */
  readonly joined: Pulse
  /** In order of arrival; one that left stays as undefined, so that readers remember how far they read. */
  readonly peers: (string | undefined)[]
}

export class Rosters {
  readonly #rosters = new Map<Digest, Roster>()

  /** The caller leaves with the same arguments. */
  join(digest: Digest, peer: string): Roster {
    const roster = this.#rosters.get(digest) ?? { joined: new Pulse(), peers: [] }
    this.#rosters.set(digest, roster)
    roster.peers.push(peer)
    roster.joined.beat()
    return roster
  }

  leave(digest: Digest, peer: string): void {
    const roster = this.#rosters.get(digest)
    const at = roster?.peers.indexOf(peer) ?? -1
    if (!roster || at < 0) return
    roster.peers[at] = undefined
    if (roster.peers.every((other) => other === undefined)) this.#rosters.delete(digest)
  }
}
