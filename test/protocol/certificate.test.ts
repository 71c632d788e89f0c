import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { CompactSign, SignJWT } from 'jose'
import { type Certificate, expired, issue, verify } from '../../protocol/certificate.js'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const keyring = { fleet: 'acme', keys: [publicKey] }
const iat = 1_800_000_000
const claims: Certificate = {
  fleet: 'acme',
  sub: 'n1',
  name: 'berlin',
  peer: '12D3KooWx',
  repositories: ['npm-*'],
  iat,
  exp: iat + 3600,
}
const at = (seconds: number) => new Date((iat + seconds) * 1000)

async function signed(payload: unknown, header: object = {}): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'EdDSA', typ: 'cairn-node+jwt', ...header })
    .sign(privateKey)
}

test('a certificate reads back as it was issued', async () => {
  assert.deepEqual(await verify(await issue(privateKey, claims), keyring, at(10)), claims)
})

test('any key of the keyring will do', async () => {
  const older = generateKeyPairSync('ed25519').publicKey
  assert.equal(
    (await verify(await issue(privateKey, claims), { fleet: 'acme', keys: [older, publicKey] }, at(10))).sub,
    'n1',
  )
})

test('its age is judged by the given time, with a minute of leeway, and a time before its issue is no reason to refuse', async () => {
  const text = await issue(privateKey, claims)
  await verify(text, keyring, at(-100_000))
  await verify(text, keyring, at(3659))
  await assert.rejects(verify(text, keyring, at(3660)), /expired/)
  await assert.rejects(verify(text, keyring, at(3600), 0), /expired/)
  assert.deepEqual([expired(claims, at(3659)), expired(claims, at(3660))], [false, true])
})

const refused: [string, () => Promise<string> | string][] = [
  ['nothing', () => ''],
  ['no token', () => 'x'],
  ['too much', () => 'a'.repeat(20_000)],
  ['another fleet', () => signed({ ...claims, fleet: 'other' })],
  ['another signer', () => issue(generateKeyPairSync('ed25519').privateKey, claims)],
  ['another type', () => signed(claims, { typ: 'JWT' })],
  ['no type', () => signed(claims, { typ: undefined })],
  [
    'claims that are no JSON',
    () =>
      new CompactSign(Buffer.from('{')).setProtectedHeader({ alg: 'EdDSA', typ: 'cairn-node+jwt' }).sign(privateKey),
  ],
  ['an end before the beginning', () => signed({ ...claims, exp: iat })],
  [
    'a shared secret',
    () => new SignJWT({ ...claims }).setProtectedHeader({ alg: 'HS256', typ: 'cairn-node+jwt' }).sign(Buffer.alloc(32)),
  ],
  [
    'no algorithm',
    () =>
      `${Buffer.from('{"alg":"none","typ":"cairn-node+jwt"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`,
  ],
  ...(['fleet', 'sub', 'name', 'peer', 'repositories', 'iat', 'exp'] as const).map(
    (claim): [string, () => Promise<string>] => [`no ${claim}`, () => signed({ ...claims, [claim]: undefined })],
  ),
]

for (const [what, make] of refused) {
  test(`a certificate with ${what} is refused`, async () => {
    await assert.rejects(verify(await make(), keyring, at(10)), {
      kind: 'unauthenticated',
      code: 'certificate_refused',
    })
  })
}

test('claims that no judge would accept are not signed', async () => {
  for (const wrong of [{ exp: iat }, { sub: '' }, { repositories: [''] }, { iat: 0.5 }]) {
    await assert.rejects(issue(privateKey, { ...claims, ...wrong }), { kind: 'invalid' })
  }
  await assert.rejects(issue(privateKey, { ...claims, repositories: Array(500).fill('x'.repeat(100)) }), {
    kind: 'invalid',
  })
})
