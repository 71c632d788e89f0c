/**
 * Who this node is: made once when it joins, kept in `<data>/identity.json` with mode 0600. The key never leaves the machine;
 * the certificate is replaced whenever the primary gives a newer one.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { parseJoinToken } from '../protocol/access/join-token.js'
import { RegistryError } from '../protocol/errors.js'
import { rawPublicKey } from '../protocol/log/checkpoint.js'
import { IDENTITY_FILE } from '../protocol/settings.js'
import { Link } from './link/link.js'
import { peerIdOf, privateKeyOf, seedOf } from './peer-id.js'

const schema = z.object({
  node: z.string(),
  name: z.string(),
  /** base64url of the 32-byte Ed25519 seed. */
  seed: z.string().length(43),
  fleet: z.string(),
  /** base64url, 32 bytes. */
  logKey: z.string().length(43),
  /** The primary's address and TLS key. */
  url: z.string(),
  pin: z.string(),
  certificate: z.string(),
  /** Globs over repository keys. A change means that other changes are visible: the replica starts again. */
  repositories: z.array(z.string()),
  /** Known by its certificate alone: its fleet has no record of it. */
  ephemeral: z.boolean().optional(),
})
export type Stored = z.infer<typeof schema>

export interface Identity extends Stored {
  key: KeyObject
  publicKey: Uint8Array
}

/** The identity on disk, else a new one by means of the join token. Throws `invalid` with what to do when there is neither. */
export async function identity(
  dir: string,
  joinToken: string | undefined,
  name: string | undefined,
): Promise<Identity> {
  const path = join(dir, IDENTITY_FILE)
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text !== undefined) return complete(schema.parse(JSON.parse(text)))
  if (joinToken === undefined)
    throw new RegistryError(
      'invalid',
      'This node has not joined a fleet: start it once with --join <token> (made by `cairn node create`)',
    )
  return complete(await joinFleet(dir, joinToken, name))
}

export async function saveIdentity(dir: string, stored: Stored): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const path = join(dir, IDENTITY_FILE)
  await writeFile(`${path}.new`, JSON.stringify(schema.parse(stored), null, 2), { mode: 0o600, flush: true })
  await rename(`${path}.new`, path)
}

async function joinFleet(dir: string, joinToken: string, name: string | undefined): Promise<Stored> {
  const token = parseJoinToken(joinToken)
  const { privateKey } = generateKeyPairSync('ed25519')
  const publicKey = rawPublicKey(createPublicKey(privateKey))
  const link = new Link({ url: token.url, pin: token.tlsPin, identity: undefined, now: Date.now })
  try {
    const reply = replySchema.parse(
      await link.json('POST', '/fleet/v1/join', {
        secret: token.secret,
        name: name ?? token.node,
        peer: peerIdOf(publicKey),
        publicKey: Buffer.from(publicKey).toString('base64url'),
      }),
    )
    if (reply.logKey !== token.logKey)
      throw new RegistryError('upstream', 'The primary does not hold the key that the join token pins')
    const { node, certificate, fleet, logKey } = reply
    const stored = {
      node: node.id,
      name: node.name,
      seed: seedOf(privateKey).toString('base64url'),
      fleet,
      logKey,
      url: token.url,
      pin: token.tlsPin,
      certificate,
      repositories: node.repositories,
      ...(node.ephemeral ? { ephemeral: true } : {}),
    }
    await saveIdentity(dir, stored)
    return stored
  } finally {
    await link.close()
  }
}

const replySchema = z.object({
  node: z.object({
    id: z.string(),
    name: z.string(),
    repositories: z.array(z.string()),
    ephemeral: z.boolean().optional(),
  }),
  certificate: z.string(),
  fleet: z.string(),
  logKey: z.string(),
})

function complete(stored: Stored): Identity {
  const key = privateKeyOf(Buffer.from(stored.seed, 'base64url'))
  return { ...stored, key, publicKey: rawPublicKey(createPublicKey(key)) }
}
