/** The libp2p node that a mesh runs on, with every limit that matters set in one place. */
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { type GossipSub, type GossipsubOpts, gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import type { Libp2p, PeerId } from '@libp2p/interface'
import { mdns } from '@libp2p/mdns'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { speaksOther } from './negotiation.js'
import { type Judge, SECURED, secured } from './secured.js'
import { provideWithResolvers } from './with-resolvers.js'

export type MeshNode = Libp2p<{ identify: ReturnType<ReturnType<typeof identify>>; gossip: GossipSub }>

export interface MeshNodeOptions {
  /** 32 raw bytes. */
  seed: Uint8Array
  listen: string[]
  announce: string[] | undefined
  /** Find peers of this fleet by multicast. */
  mdns: { fleet: string } | undefined
  /** Connections that are accepted. */
  connections: number
  judge: Judge
  /** Is this peer refused before anything is said. */
  denied: (peer: PeerId) => boolean
  gossip: Partial<GossipsubOpts>
}

/** For dials and for handshakes of those who dial. */
export const DIAL_MS = 10_000

/** Of yamux: more than the credit of our streams, less than its own default of 16 MiB. */
const STREAM_WINDOW_BYTES = 4_194_304
const STREAMS = 64

/** The peer id that belongs to a private key, for the certificate. */
export async function peerOf(seed: Uint8Array): Promise<string> {
  return peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', seed)).toString()
}

/** Not started. */
export async function newMeshNode(options: MeshNodeOptions): Promise<MeshNode> {
  provideWithResolvers()
  const { listen, announce, connections, denied } = options
  const streamOptions = { maxStreamWindowSize: STREAM_WINDOW_BYTES }
  return createLibp2p({
    privateKey: await generateKeyPairFromSeed('Ed25519', options.seed),
    addresses: { listen, ...(announce ? { announce } : {}) },
    transports: [tcp()],
    connectionEncrypters: [secured(options.judge)],
    streamMuxers: [yamux({ streamOptions, maxInboundStreams: STREAMS, maxOutboundStreams: STREAMS })],
    connectionGater: {
      denyDialPeer: denied,
      denyInboundConnection: (connection) => speaksOther(connection, SECURED),
      denyInboundEncryptedConnection: denied,
    },
    connectionManager: {
      maxConnections: connections,
      // An office behind one address opens all its connections at once.
      inboundConnectionThreshold: 1000,
      maxIncomingPendingConnections: 64,
      dialTimeout: DIAL_MS,
      inboundUpgradeTimeout: DIAL_MS,
      reconnectRetries: 0,
    },
    connectionMonitor: { pingInterval: 10_000, pingTimeout: { minTimeout: 10_000 } },
    peerDiscovery: options.mdns ? [mdns({ serviceTag: serviceTag(options.mdns.fleet) })] : [],
    services: { identify: identify(), gossip: gossipsub(options.gossip) },
    start: false,
  })
}

function serviceTag(fleet: string): string {
  return `_cairn-${fleet.toLowerCase().slice(0, 40)}._udp.local`
}
