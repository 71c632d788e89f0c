/** A peer with a good certificate and bad manners: bare libp2p, so that a test can send what Mesh never would. */
import { randomBytes } from 'node:crypto'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Libp2p, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { peerOf } from '../../../node/mesh/libp2p.js'
import type { Mesh } from '../../../node/mesh/mesh.js'
import { secured } from '../../../node/mesh/secured.js'
import { provideWithResolvers } from '../../../node/mesh/with-resolvers.js'
import { issue } from '../../../protocol/certificate.js'
import { EXCHANGE } from '../../../protocol/wire/peer.js'
import type { Rig } from './rig.js'

export interface RawPeer {
  self: string
  dial(mesh: Mesh): Promise<void>
  /** A stream of the exchange; `bare`: one on which nothing was negotiated. */
  stream(mesh: Mesh, bare?: boolean): Promise<Stream>
  close(): Promise<void>
}

export async function rawPeer(rig: Rig, name: string): Promise<RawPeer> {
  provideWithResolvers()
  const seed = randomBytes(32)
  const self = await peerOf(seed)
  const iat = Math.floor(rig.time.getTime() / 1000)
  const certificate = await issue(rig.key, {
    fleet: rig.fleet,
    sub: name,
    name,
    peer: self,
    repositories: ['*'],
    iat,
    exp: iat + 3600,
  })
  const judge = { certificate: () => certificate, judge: () => Promise.resolve(), spoken: () => [EXCHANGE] }
  const node = await createLibp2p({
    privateKey: await generateKeyPairFromSeed('Ed25519', seed),
    transports: [tcp()],
    connectionEncrypters: [secured(judge)],
    streamMuxers: [yamux()],
  })
  return {
    self,
    dial: async (mesh) => {
      await node.dial(
        mesh.addresses.map((address) => multiaddr(address)),
        { force: true },
      )
    },
    stream: (mesh, bare = false) => open(node, mesh, bare),
    close: async () => {
      await node.stop()
    },
  }
}

async function open(node: Libp2p, mesh: Mesh, bare: boolean): Promise<Stream> {
  const connection = node.getConnections().find(({ remotePeer }) => remotePeer.toString() === mesh.self)
  if (!connection) throw new Error('not connected')
  return bare ? Reflect.get(connection, 'muxer').createStream({}) : connection.newStream(EXCHANGE)
}
