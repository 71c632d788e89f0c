/**
 * How this fleet uses gossipsub: one topic, messages without sender or signature (what counts is the primary's signature inside,
 * and the connection says who passed it on) named by their SHA-256, small limits, and scores that throw out who sends rubbish.
 */
import { createHash } from 'node:crypto'
import type { GossipsubOpts, Message } from '@libp2p/gossipsub'

export const MAX_GOSSIP_BYTES = 131_072

/** What the owner of the topic says about a message; `reject` costs the sender its standing. */
export type Verdict = 'accept' | 'ignore' | 'reject'
export type GossipHandler = (bytes: Uint8Array, peer: string) => Verdict | Promise<Verdict>

/** One message and what gossipsub wraps around it; several are never put into one frame beyond this. */
const MAX_RPC_BYTES = 4 * MAX_GOSSIP_BYTES

export function logTopic(fleet: string): string {
  return `cairn/${fleet}/log/1`
}

/** `points`: how bad a peer's conduct is elsewhere, 0 is good. */
export function gossipOptions(topic: string, points: (peer: string) => number): Partial<GossipsubOpts> {
  return {
    globalSignaturePolicy: 'StrictNoSign',
    msgIdFn: (message: Message) => createHash('sha256').update(message.data).digest(),
    allowedTopics: [topic],
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    fallbackToFloodsub: false,
    floodPublish: true,
    doPX: false,
    maxInboundStreams: 2,
    maxOutboundStreams: 2,
    maxInboundDataLength: MAX_RPC_BYTES,
    maxOutboundBufferSize: 16 * MAX_RPC_BYTES,
    maxTopicBytesPerPeer: 16_384,
    decodeRpcLimits: {
      maxSubscriptions: 16,
      maxMessages: 64,
      maxIhaveMessageIDs: 1000,
      maxIwantMessageIDs: 1000,
      maxIdontwantMessageIDs: 512,
      maxControlMessages: 32,
      maxPeerInfos: 0,
    },
    scoreParams: {
      // An office is one address.
      IPColocationFactorWeight: 0,
      appSpecificWeight: 1,
      appSpecificScore: (peer: string) => -points(peer),
      topics: { [topic]: TOPIC_SCORE },
    },
  }
}

/** Deliveries are not counted (P3): a quiet fleet is a healthy one. Three invalid messages bring a peer below the graylist's -80. */
const TOPIC_SCORE = {
  topicWeight: 1,
  timeInMeshWeight: 0.01,
  timeInMeshQuantum: 60_000,
  timeInMeshCap: 100,
  firstMessageDeliveriesWeight: 0,
  firstMessageDeliveriesDecay: 0.5,
  firstMessageDeliveriesCap: 100,
  meshMessageDeliveriesWeight: 0,
  meshMessageDeliveriesDecay: 0.5,
  meshMessageDeliveriesCap: 100,
  meshMessageDeliveriesThreshold: 1,
  meshMessageDeliveriesWindow: 100,
  meshMessageDeliveriesActivation: 60_000,
  meshFailurePenaltyWeight: 0,
  meshFailurePenaltyDecay: 0.5,
  invalidMessageDeliveriesWeight: -10,
  invalidMessageDeliveriesDecay: 0.998,
}
