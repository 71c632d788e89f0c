/**
 * One connection between two nodes' meshes, a process each: pieces over the bulk channel, verified or not, beside what node:tls moves
 * between the same processes. No disk.
 */
import { spawn } from 'node:child_process'
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { connect, createServer } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { Mesh } from '../../node/mesh/mesh.js'
import { selfSigned } from '../../node/mesh/self-signed.js'
import { MeshSwarm } from '../../node/mesh/swarm.js'
import { peerIdOf, seedOf } from '../../node/peer-id.js'
import { hashBody } from '../../protocol/blobs/hashing.js'
import { verifyPiece } from '../../protocol/blobs/piece.js'
import { issue } from '../../protocol/certificate.js'
import { once as asStream } from '../../protocol/chunks.js'
import { rawPublicKey } from '../../protocol/log/checkpoint.js'
import { LEAF_BYTES, Tree } from '../../protocol/merkle.js'
import type { Stored } from '../../protocol/records.js'
import { decodePieceAsk, encodePieceAnswer } from '../../protocol/wire/swarm.js'

export interface ChannelReport {
  /** Bytes per second. */
  tls: number
  transport: number
  verified: number
}

interface Source {
  addresses: string[]
  peer: string
  tlsPort: number
  stored: Stored
}

const FLEET = 'bench'
const BLOB_BYTES = 64 * 1024 * 1024
const PIECE_LEAVES = 16
const AT_ONCE = 8
const WRITE_BYTES = 262_144
const PROGRAM = fileURLToPath(new URL('./main.js', import.meta.url))

export async function channel({ bytes }: { bytes: number }): Promise<ChannelReport> {
  const { privateKey } = generateKeyPairSync('ed25519')
  const signer = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const child = spawn(process.execPath, [PROGRAM, 'channelSource', JSON.stringify({ signer })], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const mesh = await newMesh(privateKey)
  try {
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
    const source = JSON.parse(line) as Source
    await mesh.dial(source.addresses)
    // Warm: what is measured is neither the handshake nor the compiler.
    await pieces(mesh, source, bytes / 4, true)
    const tls = await rate(bytes, () => plain(source.tlsPort, bytes))
    const transport = await rate(bytes, () => pieces(mesh, source, bytes, false))
    const verified = await rate(bytes, () => pieces(mesh, source, bytes, true))
    if (mesh.channels === 0) throw new Error('the channel was not opened')
    return { tls, transport, verified }
  } finally {
    await mesh.close()
    child.stdin.end()
  }
}

/** Serves until its standard input ends. */
export async function channelSource({ signer }: { signer: string }): Promise<Record<string, never>> {
  const bytes = randomBytes(BLOB_BYTES)
  const { stored, leaves } = await hashBody(asStream(bytes), { limit: BLOB_BYTES })
  const tree = new Tree(leaves)
  const mesh = await newMesh(createPrivateKey(signer))
  mesh.handle('piece', async function* (_, payload) {
    const { first, count } = decodePieceAsk(payload)
    const part = bytes.subarray(first * LEAF_BYTES, (first + count) * LEAF_BYTES)
    yield* encodePieceAnswer({ first, proof: tree.proof(first, count), bytes: part })
  })
  const tls = await plainServer(bytes)
  const source = { addresses: mesh.addresses, peer: mesh.self, tlsPort: (tls.address() as AddressInfo).port, stored }
  process.stdout.write(`${JSON.stringify(source)}\n`)
  await once(process.stdin.resume(), 'end')
  await mesh.close()
  tls.close()
  return {}
}

async function newMesh(signer: KeyObject): Promise<Mesh> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const peer = peerIdOf(rawPublicKey(publicKey))
  const iat = Math.floor(Date.now() / 1000)
  const claims = { fleet: FLEET, sub: peer, name: peer, peer, repositories: ['*'], iat, exp: iat + 3600 }
  const certificate = await issue(signer, claims)
  const mesh = new Mesh({
    seed: seedOf(privateKey),
    keyring: { fleet: FLEET, keys: [createPublicKey(signer)] },
    certificate: () => certificate,
    logTime: () => new Date(iat * 1000),
    revoked: () => false,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    bulk: { host: '127.0.0.1', port: 0 },
  })
  await mesh.start()
  return mesh
}

async function pieces(mesh: Mesh, { peer, stored }: Source, bytes: number, verify: boolean): Promise<void> {
  const swarm = new MeshSwarm(mesh, () => true, Date.now)
  const size = PIECE_LEAVES * LEAF_BYTES
  const { signal } = new AbortController()
  let next = 0
  const work = async (): Promise<void> => {
    for (let at = next++; at * size < bytes; at = next++) {
      const first = (at * PIECE_LEAVES) % (BLOB_BYTES / LEAF_BYTES)
      const ask = { digest: stored.digest, scope: 'bench', first, count: PIECE_LEAVES, fetch: false }
      const answer = await swarm.piece(peer, ask, size, signal)
      if (verify && !verifyPiece(stored, first, answer)) throw new Error('a piece is wrong')
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}

async function plainServer(bytes: Buffer) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' })
  const cert = selfSigned(privateKey, publicKey.export({ type: 'spki', format: 'der' }))
  const server = createServer({ key, cert }, (socket) => {
    let at = 0
    const write = (): void => {
      while (socket.write(bytes.subarray(at, at + WRITE_BYTES))) at = (at + WRITE_BYTES) % bytes.length
      at = (at + WRITE_BYTES) % bytes.length
    }
    socket.on('drain', write)
    socket.on('error', () => socket.destroy())
    write()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

async function plain(port: number, bytes: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  let received = 0
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject)
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (received >= bytes) resolve()
    })
  })
  socket.destroy()
}

async function rate(bytes: number, run: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await run()
  return bytes / ((performance.now() - startedAt) / 1000)
}
