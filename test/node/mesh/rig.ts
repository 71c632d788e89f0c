/** A fleet of real meshes over loopback TCP in one process: a signing key, certificates, and whatever a test wants to break. */
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { peerOf } from '../../../node/mesh/libp2p.js'
import { Mesh, type MeshOptions } from '../../../node/mesh/mesh.js'
import { type Certificate, issue } from '../../../protocol/certificate.js'

export interface Rig {
  fleet: string
  key: KeyObject
  publicKey: KeyObject
  /** What every judge takes for the newest log time. */
  time: Date
  revoked: Set<string>
  meshes: Mesh[]
  faults: unknown[]
  /** Renewed certificates, by node. */
  certificates: Map<string, string>
  /** Makes and starts a mesh. `claims` and `options` replace what a good node would have. */
  join(name: string, claims?: Partial<Certificate>, options?: Partial<MeshOptions> & { key?: KeyObject }): Promise<Mesh>
  close(): Promise<void>
}

const HOUR_SECONDS = 3600

export function newRig(fleet = 'acme'): Rig {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const rig: Rig = {
    fleet,
    key: privateKey,
    publicKey,
    time: new Date('2026-11-01T12:00:00Z'),
    revoked: new Set(),
    meshes: [],
    faults: [],
    certificates: new Map(),
    join: (name, claims, options) => join(rig, name, claims, options),
    close: async () => {
      await Promise.all(rig.meshes.map((mesh) => mesh.close()))
    },
  }
  return rig
}

async function join(
  rig: Rig,
  name: string,
  claims: Partial<Certificate> = {},
  options: Partial<MeshOptions> & { key?: KeyObject } = {},
) {
  const seed = randomBytes(32)
  const iat = Math.floor(rig.time.getTime() / 1000)
  const own = {
    fleet: rig.fleet,
    sub: name,
    name,
    peer: await peerOf(seed),
    repositories: ['*'],
    iat,
    exp: iat + HOUR_SECONDS,
  }
  const text = await issue(options.key ?? rig.key, { ...own, ...claims })
  const mesh = new Mesh({
    seed,
    keyring: { fleet: rig.fleet, keys: [rig.publicKey] },
    certificate: () => rig.certificates.get(name) ?? text,
    logTime: () => rig.time,
    revoked: (certificate) => rig.revoked.has(certificate.sub),
    listen: ['/ip4/127.0.0.1/tcp/0'],
    bulk: { host: '127.0.0.1', port: 0 },
    onFault: (_, error) => rig.faults.push(error),
    ...options,
  })
  await mesh.start()
  rig.meshes.push(mesh)
  return mesh
}

/** Makes them know each other, and resolves when each is connected to all others. */
export async function connectAll(meshes: Mesh[]): Promise<void> {
  const list = meshes.map((mesh) => ({ peer: mesh.self, addresses: mesh.addresses }))
  for (const mesh of meshes) mesh.introduce(list)
  await Promise.all(meshes.map((mesh) => reached(mesh, meshes.length - 1)))
}

/** Resolves when the mesh has so many members. */
export function reached(mesh: Mesh, members: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (mesh.members().length !== members) return
      for (const end of ends) end()
      resolve()
    }
    const ends = [mesh.onJoin(look), mesh.onLeave(look)]
    look()
  })
}
