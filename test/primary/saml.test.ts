/** Signing on with SAML: what is right is taken, and every forgery of group E is refused with the same words. */
import assert from 'node:assert/strict'
import { createSign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
// @ts-expect-error: the package has no types.
import samlp from 'samlp'
import { PasswordHashes } from '../../primary/accounts/password.js'
import { PrimaryAccounts } from '../../primary/accounts.js'
import { saml } from '../../primary/identity/saml/provider.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Reply } from '../../protocol/http/reply.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { type TestIdentity, testIdentity } from '../support/identity.js'
import { type TestDatabase, testDatabase } from '../support/postgres.js'
import { bodyOf, requestOf } from '../support/request.js'
import {
  assertionOf,
  bare,
  cut,
  idpMetadata,
  logoutRequestOf,
  newId,
  responseOf,
  type SamlKeys,
  type Saying,
  samlKeys,
  signed,
} from '../support/saml.js'

const HERE = 'https://registry.test'
const BASE = `${HERE}/admin/login/corp`
const ACS = `${BASE}/callback`
const SLO = `${BASE}/slo`
const IDP = 'https://idp.test'
const ISSUER = `${IDP}/metadata`
const REFUSED = 'What the identity provider sent cannot be taken; begin again'
const RSA_SHA256 = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256'

let database: TestDatabase
let keys: SamlKeys
let foreign: SamlKeys
before(async () => {
  ;[database, keys, foreign] = await Promise.all([testDatabase(), samlKeys(), samlKeys()])
})
after(() => database.close())

describe('a log-in with SAML', () => {
  it('begins with a signed request, and the metadata tells the key', async () => {
    const { handle } = await world()
    const { location, cookie } = await begin(handle)
    assert.equal(location.origin + location.pathname, `${IDP}/sso`)
    assert.equal(location.searchParams.get('SigAlg'), RSA_SHA256)
    assert.equal(location.searchParams.has('RelayState'), false)
    assert.match(cookie, /^__Host-cairn-login-corp=/)
    const metadata = (await bodyOf(await handle('GET', '/metadata'))).toString()
    assert.match(metadata, new RegExp(`entityID="${BASE}/metadata"`))
    assert.match(metadata, /AuthnRequestsSigned="true"/)
    assert.match(metadata, new RegExp(`AssertionConsumerService[^>]* Location="${ACS}"`))
    assert.equal(metadata.match(/use="(?:signing|encryption)"/g)?.length, 2)
  })

  it('keeps its way in a cookie that is sent with a form of another site', async () => {
    const { handle } = await world()
    const reply = await handle('GET', '')
    assert.match(reply.headers['set-cookie'] ?? '', /; HttpOnly; SameSite=None; Secure$/)
  })

  it('ends where one wanted to go, whatever RelayState says (E18)', async () => {
    for (const relayState of ['https://evil.test', '//evil.test', 'javascript:alert(1)', '']) {
      const { handle, user } = await world()
      const way = await begin(handle, '/admin/account')
      const reply = await post(handle, way, sign(valid(way)), { RelayState: relayState })
      assert.deepEqual([reply.status, reply.headers.location], [303, '/admin/account'])
      assert.match(reply.headers['set-cookie'] ?? '', /^__Host-cairn=/)
      assert.equal(user('ann')?.name, 'ann')
    }
  })

  it('knows name, address and groups by their names, OIDs or friendly names', async () => {
    const { handle, user } = await world()
    const oids = {
      'urn:oid:0.9.2342.19200300.100.1.1': ['ann'],
      'urn:oid:0.9.2342.19200300.100.1.3': ['ann@corp.test'],
      'urn:oid:1.3.6.1.4.1.5923.1.5.1.1': ['dev', 'ops'],
    }
    await entered(handle, { attributes: oids })
    assert.deepEqual([user('ann')?.email, user('ann')?.groups], ['ann@corp.test', ['dev', 'ops']])
    const friendly = { 'urn:x:1': 'uid', 'urn:x:2': 'groups' }
    await entered(handle, { attributes: { 'urn:x:1': ['ann'], 'urn:x:2': ['ops'] }, friendly })
    assert.deepEqual(user('ann')?.groups, ['ops'])
    await entered(handle, { attributes: { uid: ['other'] } })
    assert.deepEqual([user('ann')?.groups, user('other')], [[], undefined], 'the NameID is who it is')
  })

  it('is of nobody who is named anew each time, unless an attribute says who it is', async () => {
    const { handle, configure, user } = await world()
    const said = { nameIdFormat: 'transient', nameId: newId(), attributes: { uid: ['ann'], employee: ['17'] } }
    const way = await begin(handle)
    await assert.rejects(post(handle, way, sign(valid(way, said))), { kind: 'forbidden' })
    await configure({ subject_attribute: 'employee' })
    await entered(handle, said)
    await entered(handle, { ...said, nameId: newId(), attributes: { uid: ['ann'], employee: ['17'], groups: ['dev'] } })
    assert.deepEqual(user('ann')?.groups, ['dev'])
  })

  it('takes a signature of the response, of the assertion, or both, by each of several certificates', async () => {
    const { handle, configure } = await world()
    await configure({ metadata: idpMetadata(ISSUER, IDP, [foreign.certificate, keys.certificate]) })
    for (const make of [
      (xml: string) => signed(xml, 'Response', keys),
      (xml: string) => signed(xml, 'Assertion', foreign, { algorithm: 'sha512' }),
      (xml: string) => signed(signed(xml, 'Assertion', keys), 'Response', foreign),
    ])
      await entered(handle, {}, make)
    await configure({ metadata: idpMetadata(ISSUER, IDP, [foreign.certificate]) })
    await refused(handle, {}, (xml) => signed(xml, 'Assertion', keys))
  })

  it('reads what samlp encrypts with the key of our metadata', async () => {
    const { handle } = await world()
    const certificate = await encryptionCertificate(handle)
    for (const options of [{ encryptionAlgorithm: GCM }, { encryptionAlgorithm: CBC, signResponse: true }]) {
      const way = await begin(handle)
      assert.equal((await post(handle, way, await bySamlp(way, certificate, options))).status, 303)
    }
  })

  it('may begin at the provider only where that is set', async () => {
    const { handle, configure } = await world()
    const unsolicited = { inResponseTo: '' }
    await refused(handle, unsolicited)
    await configure({ idp_initiated: true })
    const reply = await handle('POST', '/callback', { body: form({ SAMLResponse: encode(sign(valid(NO_WAY))) }) })
    assert.deepEqual([reply.status, reply.headers.location], [303, '/'])
    await refused(handle, { inResponseTo: newId() })
  })

  it('says the reason in the audit trail, and to nobody else', async () => {
    const { handle, trail } = await world()
    await refused(handle, { audience: 'https://other.test' })
    const { action, outcome, detail } = trail.at(-1) ?? {}
    assert.deepEqual(
      [action, outcome, detail],
      ['console.login', 'saml_refused', { provider: 'corp', reason: 'another audience' }],
    )
  })
})

describe('a response that was wrapped (E01–E08)', () => {
  let shared: World
  before(async () => {
    shared = await world()
  })
  // Juraj Somorovsky and others, On Breaking SAML: Be Whoever You Want to Be (2012).
  const evil = (assertion: string) =>
    assertion
      .replace(/ID="[^"]*"/, `ID="${newId()}"`)
      .replace('>s-ann<', '>s-admin<')
      .replace(/<Signature.*<\/Signature>/s, '')
  const signature = (assertion: string) => cut(assertion, 'Signature')
  const unsigned = (xml: string) => xml.replace(/<Signature.*<\/Signature>/s, '')
  const wrap = (xml: string, make: (original: string, forged: string) => string) => {
    const original = cut(xml, 'Assertion')
    return xml.replace(original, () => make(original, evil(original)))
  }
  const into = (element: string, content: string) => element.replace(/<\/[^<>]*>$/, (end) => content + end)
  const forgeries: Record<string, { of: 'Response' | 'Assertion'; make: (xml: string) => string }> = {
    'XSW1: a new response around, the original in the signature': {
      of: 'Response',
      make: (xml) => {
        const inner = unsigned(xml)
        const forged = evil(xml)
        return forged.replace('<samlp:Status>', () => `${into(signature(xml), inner)}<samlp:Status>`)
      },
    },
    'XSW2: the same, the original beside the signature': {
      of: 'Response',
      make: (xml) => evil(xml).replace('<samlp:Status>', () => `${signature(xml)}${unsigned(xml)}<samlp:Status>`),
    },
    'XSW3: a new assertion before the original': { of: 'Assertion', make: (xml) => wrap(xml, (a, e) => e + a) },
    'XSW4: the original in a new assertion': { of: 'Assertion', make: (xml) => wrap(xml, (a, e) => into(e, a)) },
    'XSW5: the original behind, its signature in the new one': {
      of: 'Assertion',
      make: (xml) => wrap(xml, (a, e) => into(e, signature(a)) + unsigned(a)),
    },
    'XSW6: the original in the signature of the new one': {
      of: 'Assertion',
      make: (xml) => wrap(xml, (a, e) => into(e, into(signature(a), unsigned(a)))),
    },
    'XSW7: a new assertion among the extensions': {
      of: 'Assertion',
      make: (xml) => wrap(xml, (a, e) => `<samlp:Extensions>${e}</samlp:Extensions>${a}`),
    },
    'XSW8: the original in an object of the signature of the new one': {
      of: 'Assertion',
      make: (xml) =>
        wrap(xml, (a, e) =>
          into(e, into(signature(a), `<Object xmlns="http://www.w3.org/2000/09/xmldsig#">${unsigned(a)}</Object>`)),
        ),
    },
  }
  for (const [name, { of, make }] of Object.entries(forgeries))
    it(name, async () => {
      const { handle, user, reason } = shared
      const forge = (xml: string) => {
        const good = signed(xml, of, keys)
        const forged = make(good)
        assert.ok(forged.includes('>s-admin<') && forged.includes('>s-ann<') && forged.includes('<SignatureValue>'))
        return forged
      }
      await refused(handle, {}, forge)
      assert.equal(user('ann'), undefined)
      assert.match(reason(), /^(?:a hidden|several|a signature|an ID)/)
    })
})

describe('a response that is not right', () => {
  let shared: World
  before(async () => {
    shared = await world()
  })
  const cases: Record<string, { because: string; said?: Partial<Saying>; make?: (xml: string) => string }> = {
    'is signed by nobody': { because: 'nothing is signed', make: (xml) => xml },
    'is signed by another key, whose certificate it brings along (E12)': {
      because: 'no valid signature',
      make: (xml) => signed(xml, 'Assertion', foreign),
    },
    'was changed by one character after it was signed (E09)': {
      because: 'no valid signature',
      make: (xml) => signed(xml, 'Response', keys).replace('>s-ann<', '>s-anm<'),
    },
    'was changed in an assertion that is signed as well (E09)': {
      because: 'no valid signature',
      make: (xml) => signed(signed(xml, 'Assertion', keys), 'Response', keys).replace('>s-ann<', '>s-anm<'),
    },
    'has a good assertion in a response whose signature is not (E09)': {
      because: 'no valid signature',
      make: (xml) => signed(signed(xml, 'Assertion', keys), 'Response', foreign),
    },
    'has a comment in the name (E11)': {
      because: 'a DOCTYPE, comment, CDATA or instruction',
      make: (xml) => sign(xml).replace('>s-ann<', '>s-<!-- -->ann<'),
    },
    'has two SignedInfo (E11)': {
      because: 'several SignedInfo in Signature',
      make: (xml) => sign(xml).replace(/<SignedInfo.*<\/SignedInfo>/s, (info) => info + info),
    },
    'has a comment in the digest (E11)': {
      because: 'a DOCTYPE, comment, CDATA or instruction',
      make: (xml) => sign(xml).replace('<DigestValue>', '<DigestValue><!-- c2FtZQ== -->'),
    },
    'has an element in the digest (E11)': {
      because: 'no valid signature',
      make: (xml) => sign(xml).replace('<DigestValue>', '<DigestValue><x>c2FtZQ==</x>'),
    },
    'has a DOCTYPE (E16)': {
      because: 'a DOCTYPE, comment, CDATA or instruction',
      make: (xml) => `<!DOCTYPE r>${sign(xml)}`,
    },
    'has an entity (E16)': {
      because: 'a DOCTYPE, comment, CDATA or instruction',
      make: (xml) => `<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>${sign(xml)}`,
    },
    'refers to an entity that nobody declared (E16)': {
      because: 'entity',
      make: (xml) => sign(xml).replace('>s-ann<', '>&a;<'),
    },
    'is signed with SHA-1 (E16)': {
      because: 'a weak signature method',
      make: (xml) => signed(xml, 'Assertion', keys, { algorithm: 'sha1' }),
    },
    'has a digest of SHA-1 (E16)': {
      because: 'a weak digest method',
      make: (xml) => signed(xml, 'Assertion', keys, { digest: 'sha1' }),
    },
    'says that its signature is an HMAC (E16)': {
      because: 'a weak signature method',
      make: (xml) => sign(xml).replace(RSA_SHA256, 'http://www.w3.org/2000/09/xmldsig#hmac-sha1'),
    },
    'nests 10 000 elements (E16)': {
      because: 'deeper than',
      make: (xml) => sign(xml).replace('<saml:Subject>', `${nest(10_000)}<saml:Subject>`),
    },
    'has 10 000 elements (E16)': {
      because: 'more than 5000 elements',
      make: (xml) => xml.replace('<saml:Subject>', `${'<x/>'.repeat(10_000)}<saml:Subject>`),
    },
    'has two assertions, one of them signed (E17)': {
      because: 'several Assertion',
      make: (xml) => sign(xml).replace('</samlp:Response>', `${assertionOf(valid(NO_WAY))}</samlp:Response>`),
    },
    'has two assertions, both signed (E17)': {
      because: 'several Assertion',
      make: (xml) => {
        const one = sign(xml)
        return one.replace('</samlp:Response>', `${cut(sign(responseOf(valid(NO_WAY))), 'Assertion')}</samlp:Response>`)
      },
    },
    'answers the request of another browser (E14)': { because: 'not asked for here', said: { inResponseTo: newId() } },
    'answers two requests (E14)': { because: 'in response to two requests', said: { subjectInResponseTo: newId() } },
    'answers a request in what is not signed only (E14)': {
      because: 'in response to two requests',
      said: { subjectInResponseTo: '' },
    },
    'is for another audience': { because: 'another audience', said: { audience: 'https://other.test/metadata' } },
    'is for every audience': { because: 'another audience', said: { audience: '' } },
    'is for another recipient': { because: 'another recipient', said: { recipient: 'https://other.test/callback' } },
    'is for any recipient': { because: 'another recipient', said: { recipient: '' } },
    'was sent elsewhere': {
      because: 'another destination',
      said: { destination: 'https://other.test/callback', recipient: ACS },
    },
    'was sent anywhere, and signed so': {
      because: 'another destination',
      said: { destination: '', recipient: ACS },
      make: (xml) => signed(xml, 'Response', keys),
    },
    'is of another issuer': {
      because: 'another issuer',
      said: { issuer: 'https://other.test', responseIssuer: ISSUER },
    },
    'came in a response of another issuer': {
      because: 'another issuer of the response',
      said: { responseIssuer: 'https://other.test' },
    },
    'is over': { because: 'no longer', said: { issuedMs: Date.now() - 400_000 } },
    'is old, however long it says it lives': {
      because: 'too old',
      said: { issuedMs: Date.now() - 720_000, lifetimeMs: 86_400_000 },
    },
    'is of the future': { because: 'of the future', said: { issuedMs: Date.now() + 3_600_000 } },
    'is no success': { because: 'status Requester', said: { status: 'Requester' } },
    'is no success, though it says so within': {
      because: 'status unknown',
      make: (xml) => {
        const inner =
          'Value="urn:oasis:names:tc:SAML:2.0:status:Responder"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:StatusCode>'
        return sign(xml.replace('Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>', inner))
      },
    },
    'says a condition that nobody knows': {
      because: 'an unknown condition',
      make: (xml) => sign(xml.replace('</saml:Conditions>', '<saml:Condition/></saml:Conditions>')),
    },
    'is no XML': { because: '', make: () => 'hello' },
    'is nothing': { because: 'not base64', make: () => '' },
    'has two roots': { because: '', make: (xml) => sign(xml) + sign(xml) },
  }
  for (const [name, { because, said = {}, make = sign }] of Object.entries(cases))
    it(`is refused: it ${name}`, async () => {
      const { handle, user, reason } = shared
      await refused(handle, said, make)
      assert.equal(user('ann'), undefined)
      assert.ok(reason().includes(because), reason())
    })

  it('is refused: what is encrypted has no signature of its own (E17), or can be changed unseen', async () => {
    const { handle } = await world()
    const certificate = await encryptionCertificate(handle)
    for (const options of [
      { encryptionAlgorithm: GCM, signAssertion: false },
      { encryptionAlgorithm: GCM, signAssertion: false, signResponse: true },
      { encryptionAlgorithm: CBC },
    ]) {
      const way = await begin(handle)
      await assert.rejects(async () => post(handle, way, await bySamlp(way, certificate, options)), same)
    }
    const way = await begin(handle)
    const weak = (await bySamlp(way, certificate, { encryptionAlgorithm: GCM })).replace(
      'xmlenc#rsa-oaep-mgf1p',
      'xmlenc#rsa-1_5',
    )
    await assert.rejects(post(handle, way, weak), same)
  })

  it('is refused before it is read: it has 10 MB (E16)', async () => {
    const { handle } = await world()
    const way = await begin(handle)
    await assert.rejects(post(handle, way, 'x'.repeat(10_000_000)), { kind: 'too_large' })
    await assert.rejects(post(handle, way, `<a>${' '.repeat(300_000)}</a>`), same)
  })

  it('is refused in a browser that did not begin, and in one whose log-in is over (E14)', async () => {
    const { handle } = await world()
    const way = await begin(handle)
    const xml = sign(valid(way))
    await assert.rejects(post(handle, { ...way, cookie: '' }, xml), same)
    await assert.rejects(post(handle, await begin(handle), xml), same)
    assert.equal((await post(handle, way, xml)).status, 303)
    await assert.rejects(post(handle, way, sign(valid(way))), same, 'another one for the same request')
  })

  it('counts once, also after a restart and at another primary (E13)', async () => {
    const { handle, another } = await world({ idp_initiated: true })
    const xml = sign(valid(NO_WAY))
    assert.equal((await post(handle, NO_WAY, xml)).status, 303)
    await assert.rejects(post(handle, NO_WAY, xml), same)
    await assert.rejects(post(await another(), NO_WAY, xml), same)
    const renamed = xml.replace(/(<samlp:Response[^>]*) ID="[^"]*"/, `$1 ID="${newId()}"`)
    await assert.rejects(post(handle, NO_WAY, renamed), same, 'in a new response')
  })
})

describe('single logout with SAML', () => {
  const asking = { issuer: ISSUER, destination: SLO, nameId: 's-ann', sessionIndex: 'index-1' }
  const atSession = { sessionIndex: 'index-1', attributes: { uid: ['ann'] } }

  it('ends sessions when the provider says so, in the address or as a form, and answers signed', async () => {
    const { handle, sessions } = await world()
    for (const ask of [
      () => handle('GET', `/slo?${inQuery(logoutRequestOf(asking), keys, 'what it wants back')}`),
      () =>
        handle('POST', '/slo', {
          body: form({
            SAMLRequest: encode(signed(logoutRequestOf(asking), 'LogoutRequest', keys)),
            RelayState: 'what it wants back',
          }),
        }),
    ]) {
      await entered(handle, atSession)
      assert.equal((await sessions('ann')).length, 1)
      const reply = await ask()
      assert.equal((await sessions('ann')).length, 0)
      const location = new URL(reply.headers.location ?? '')
      assert.equal(location.origin + location.pathname, `${IDP}/slo`)
      assert.equal(location.searchParams.get('RelayState'), 'what it wants back')
      assert.equal(location.searchParams.get('SigAlg'), RSA_SHA256)
      assert.match(inflated(location, 'SAMLResponse'), /status:Success/)
    }
  })

  it('is refused, and ends nothing, when it is not signed (E19), or not for us, or not any more', async () => {
    const { handle, sessions } = await world()
    await entered(handle, atSession)
    const good = inQuery(logoutRequestOf(asking), keys)
    const bare = new URLSearchParams(good)
    bare.delete('Signature')
    const noAlgorithm = new URLSearchParams(bare)
    noAlgorithm.delete('SigAlg')
    const queries = [
      `${bare}`,
      `${noAlgorithm}`,
      inQuery(logoutRequestOf(asking), foreign),
      inQuery(logoutRequestOf(asking), keys, undefined, 'sha1'),
      `${good}&RelayState=more`,
      `${good}&SAMLRequest=${new URLSearchParams(good).get('SAMLRequest')}`,
      `${good}&xSAMLRequest=1`,
      `${good}&Relay%53tate=more`,
      inQuery(logoutRequestOf({ ...asking, issuer: 'https://other.test' }), keys),
      inQuery(logoutRequestOf({ ...asking, destination: 'https://other.test' }), keys),
      inQuery(`<!DOCTYPE r>${logoutRequestOf(asking)}`, keys),
      inQuery(`${logoutRequestOf(asking)}${' '.repeat(1_000_000)}`, keys),
    ]
    for (const query of queries) await assert.rejects(handle('GET', `/slo?${query}`), same, query.slice(0, 100))
    const signedForm = signed(logoutRequestOf(asking), 'LogoutRequest', keys)
    for (const xml of [
      logoutRequestOf(asking),
      signed(logoutRequestOf(asking), 'LogoutRequest', foreign),
      signed(logoutRequestOf(asking), 'LogoutRequest', keys, { algorithm: 'sha1' }),
      signedForm.replace('>s-ann<', '>s-bob<'),
    ])
      await assert.rejects(handle('POST', '/slo', { body: form({ SAMLRequest: encode(xml) }) }), same)
    assert.equal((await sessions('ann')).length, 1)
    await handle('GET', `/slo?${good}`)
    await entered(handle, atSession)
    await assert.rejects(handle('GET', `/slo?${good}`), same, 'a second time')
    assert.equal((await sessions('ann')).length, 1)
  })

  it('is in the audit trail, whether it is taken or not', async () => {
    const { handle, trail } = await world()
    await entered(handle, atSession)
    await handle('GET', `/slo?${inQuery(logoutRequestOf(asking), keys)}`)
    await assert.rejects(handle('GET', `/slo?${inQuery(logoutRequestOf(asking), foreign)}`), same)
    const ends = trail.filter(({ action }) => action === 'console.logout')
    assert.deepEqual(
      ends.map(({ who, outcome }) => [who, outcome]),
      [
        ['ann', 'ok'],
        ['anonymous', 'saml_refused'],
      ],
    )
  })

  it('ends no session of somebody else, and none of another index', async () => {
    const { handle, sessions } = await world()
    await entered(handle, atSession)
    for (const other of [{ nameId: 's-bob' }, { sessionIndex: 'index-2' }])
      await handle('GET', `/slo?${inQuery(logoutRequestOf({ ...asking, ...other }), keys)}`)
    assert.equal((await sessions('ann')).length, 1)
  })

  it('tells the provider, signed, which session ended here', async () => {
    const { handle, providers, sessions, origin } = await world()
    await entered(handle, atSession)
    const [session] = await sessions('ann')
    const path = providers.logoutPath((await origin('ann', session?.id ?? '')) ?? { method: '' }) ?? ''
    const { refresh = '' } = (await handle('GET', path.replace('/admin/login/corp', ''))).headers
    const location = new URL(refresh.replace('0; url=', ''))
    assert.equal(location.origin + location.pathname, `${IDP}/slo`)
    assert.equal(location.searchParams.get('SigAlg'), RSA_SHA256)
    const asked = inflated(location, 'SAMLRequest')
    assert.match(asked, />s-ann<\/saml:NameID>/)
    assert.match(asked, />index-1<\//)
    const forged = (await handle('GET', '/logout?session=AAAA')).headers.refresh
    assert.equal(forged, `0; url=${HERE}/admin/login`)
  })
})

describe('the metadata of an identity provider', () => {
  it('is asked for once an hour, brings new certificates, and serves on while the provider is down', async () => {
    let [certificates, status, asked, now] = [[keys.certificate], 200, 0, Date.now()]
    const server = createServer((_, response) => {
      asked++
      response.writeHead(status).end(idpMetadata(ISSUER, IDP, certificates))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metadata`
      const { handle } = await world({ metadata: undefined, metadata_url: url, allow_http: true }, () => now)
      const later = { issuedMs: now }
      const byForeign = (xml: string) => signed(xml, 'Assertion', foreign)
      await entered(handle, later)
      await refused(handle, later, byForeign)
      const before = asked
      certificates = [keys.certificate, foreign.certificate]
      now += 3_600_000
      await entered(handle, { issuedMs: now }, byForeign)
      assert.equal(asked, before + 1)
      status = 503
      now += 3_600_000
      await entered(handle, { issuedMs: now }, byForeign)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })

  it('is refused with the reason when it is not right', async () => {
    const { configure } = await world()
    const good = idpMetadata(ISSUER, IDP, [keys.certificate])
    const weak = await samlKeys(1024)
    for (const [metadata, reason] of [
      ['', /root|XML|element/i],
      ['<!DOCTYPE r><r/>', /DOCTYPE/],
      [good.replace(ISSUER, 'https://other.test'), /does not have/],
      [good.replace(' entityID', ' validUntil="2001-01-01T00:00:00Z" entityID'), /out of date/],
      [good.replace(/Location="https:\/\/idp.test\/sso"/, 'Location="http://idp.test/sso"'), /safe address/],
      [good.replace(/Location="https:\/\/idp.test\/slo"/, 'Location="javascript:alert(1)"'), /safe address/],
      [good.replace(/<SingleSignOnService[^>]*>/, ''), /HTTP-Redirect/],
      [idpMetadata(ISSUER, IDP, []), /0 certificates/],
      [idpMetadata(ISSUER, IDP, [weak.certificate]), /2048 bits/],
      [good.replace(bare(keys.certificate), 'AAAA'), /.*/],
    ] as const)
      await assert.rejects(configure({ metadata }), (error: unknown) => {
        assert.ok(error instanceof RegistryError && error.kind === 'invalid')
        assert.match(error.message, /^The metadata of the identity provider is not right/)
        return reason.test(error.message)
      })
    await assert.rejects(configure({ metadata: undefined }), { kind: 'invalid' })
    await assert.rejects(configure({ metadata: undefined, metadata_url: 'http://192.0.2.1/m' }), { kind: 'invalid' })
    await assert.rejects(configure({ metadata: undefined, metadata_url: 'https://10.0.0.1/m' }), RegistryError)
    await assert.rejects(configure({ issuer: 'https://other.test' }), { kind: 'conflict' })
  })
})

type Handle = (method: string, path: string, sent?: { body?: string; cookie?: string }) => Promise<Reply>
interface Way {
  location: URL
  cookie: string
  id: string
}
type World = Awaited<ReturnType<typeof world>>
const NO_WAY: Way = { location: new URL(IDP), cookie: '', id: '' }
const GCM = 'http://www.w3.org/2009/xmlenc11#aes256-gcm'
const CBC = 'http://www.w3.org/2001/04/xmlenc#aes256-cbc'
const same = { kind: 'invalid', code: 'saml_refused', message: REFUSED }

async function world(changes: object = {}, nowMs: () => number = Date.now) {
  await database.pool.query('truncate identity, identity_provider, password, refresh_token, console_session')
  const settings = { issuer: ISSUER, metadata: idpMetadata(ISSUER, IDP, [keys.certificate]) }
  const trail: { who: string; action: string; outcome: string; detail: unknown }[] = []
  const ledger = await MemoryLedger.open()
  const accounts: PrimaryAccounts = new PrimaryAccounts({
    pool: database.pool,
    ledger,
    metadata: ledger.state,
    key: Buffer.alloc(32, 7),
    hashes: new PasswordHashes(1024),
    elsewhere: async () => undefined,
  })
  const primary = () => testIdentity(database.pool, accounts, [saml], nowMs, async (entry) => void trail.push(entry))
  const handleOf =
    ({ providers }: TestIdentity): Handle =>
    async (method, path, { body, cookie = '' } = {}) => {
      const headers = { 'content-type': 'application/x-www-form-urlencoded', ...(cookie && { cookie }) }
      const request = requestOf(method, `/admin/login/corp${path}`, { headers, ...(body !== undefined && { body }) })
      const reply = await providers.handle({ ...request, origin: HERE })
      assert.ok(reply, `${method} ${path}`)
      return reply
    }
  const first = primary()
  await first.providers.create({
    key: 'corp',
    kind: 'saml',
    title: 'Corp',
    enabled: true,
    settings: { ...settings, ...changes },
  })
  return {
    providers: first.providers,
    trail,
    reason: () => String((trail.at(-1)?.detail as { reason?: string } | undefined)?.reason),
    handle: handleOf(first),
    another: async () => {
      const second = primary()
      await second.providers.start()
      return handleOf(second)
    },
    configure: (other: object) => first.providers.update('corp', { settings: { ...settings, ...other } }),
    user: (name: string) => accounts.directory.user(name),
    sessions: (name: string) => accounts.console.list(name),
    origin: (name: string, id: string) => accounts.console.originOf(name, id),
  }
}

async function begin(handle: Handle, next = '/'): Promise<Way> {
  const { status, headers } = await handle('GET', `?${new URLSearchParams({ next })}`)
  assert.equal(status, 303)
  const location = new URL(headers.location ?? '')
  const [cookie = ''] = (headers['set-cookie'] ?? '').split(';')
  return { location, cookie, id: /ID="([^"]+)"/.exec(inflated(location, 'SAMLRequest'))?.[1] ?? '' }
}

function valid({ id }: Way, said: Partial<Saying> = {}): Saying {
  const base = {
    issuer: ISSUER,
    destination: ACS,
    audience: `${BASE}/metadata`,
    nameId: 's-ann',
    attributes: { uid: ['ann'] },
  }
  return { ...base, inResponseTo: id, ...said }
}

function sign(of: Saying | string): string {
  return signed(typeof of === 'string' ? of : responseOf(of), 'Assertion', keys)
}

function post(handle: Handle, { cookie }: Way, xml: string, more: Record<string, string> = {}): Promise<Reply> {
  return handle('POST', '/callback', { cookie, body: form({ SAMLResponse: encode(xml), ...more }) })
}

async function entered(handle: Handle, said: Partial<Saying>, make: (xml: string) => string = sign): Promise<void> {
  const way = await begin(handle)
  assert.equal((await post(handle, way, make(responseOf(valid(way, said))))).status, 303)
}

async function refused(handle: Handle, said: Partial<Saying>, make: (xml: string) => string = sign): Promise<void> {
  const way = await begin(handle)
  const xml = make(responseOf(valid(way, said)))
  await assert.rejects(post(handle, way, xml), same)
}

async function encryptionCertificate(handle: Handle): Promise<string> {
  const metadata = (await bodyOf(await handle('GET', '/metadata'))).toString()
  const text = /use="encryption".*?X509Certificate>([^<]+)</s.exec(metadata)?.[1] ?? ''
  return `-----BEGIN CERTIFICATE-----\n${text.trim()}\n-----END CERTIFICATE-----\n`
}

function bySamlp({ id }: Way, certificate: string, options: object): Promise<string> {
  const mapper = () => ({
    getClaims: () => ({ uid: 'ann', groups: ['dev'] }),
    getNameIdentifier: () => ({ nameIdentifier: 's-ann' }),
  })
  const all = {
    issuer: ISSUER,
    key: keys.key,
    cert: keys.certificate,
    audience: `${BASE}/metadata`,
    recipient: ACS,
    destination: ACS,
    inResponseTo: id,
    signatureAlgorithm: 'rsa-sha256',
    digestAlgorithm: 'sha256',
    disallowEncryptionWithInsecureAlgorithm: false,
    warnOnInsecureEncryptionAlgorithm: false,
    encryptionPublicKey: certificate,
    encryptionCert: certificate,
    profileMapper: mapper,
    ...options,
  }
  return new Promise((resolve, reject) => {
    samlp.getSamlResponse(all, {}, (error: unknown, xml: string) => (error ? reject(error) : resolve(xml)))
  })
}

/** A message in an address, as the redirect binding signs it. */
function inQuery(xml: string, { key }: SamlKeys, relayState?: string, hash = 'sha256'): string {
  const algorithm = hash === 'sha1' ? 'http://www.w3.org/2000/09/xmldsig#rsa-sha1' : RSA_SHA256
  const query = new URLSearchParams({
    SAMLRequest: deflateRawSync(xml).toString('base64'),
    ...(relayState !== undefined && { RelayState: relayState }),
    SigAlg: algorithm,
  })
  const signature = createSign(hash).update(`${query}`).sign(key, 'base64')
  return `${query}&${new URLSearchParams({ Signature: signature })}`
}

function inflated(location: URL, name: string): string {
  return inflateRawSync(Buffer.from(location.searchParams.get(name) ?? '', 'base64')).toString()
}

function encode(xml: string): string {
  return Buffer.from(xml).toString('base64')
}

function form(fields: Record<string, string>): string {
  return `${new URLSearchParams(fields)}`
}

function nest(depth: number): string {
  return '<x>'.repeat(depth) + '</x>'.repeat(depth)
}
