/** The token flow of upstreams: who is sent what, for how long a token is good, and which demands are not met. */
import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import type { Asked, UpstreamReply } from '../../../primary/upstream/client.js'
import { UpstreamTokens } from '../../../primary/upstream/tokens.js'

const BASIC = 'Basic d2hvOnNlY3JldA=='

describe('tokens of upstreams', () => {
  let sent: { url: string; authorization: string | undefined }[]
  let answers: Map<string, { status: number; headers?: Record<string, string>; body?: string; from?: string }>
  let nowMs: number
  let tokens: UpstreamTokens

  const client = {
    get: async (url: URL, { authorization }: Asked = {}): Promise<UpstreamReply> => {
      sent.push({ url: url.href, authorization })
      const known = authorization?.startsWith('Bearer ') ? answers.get(`${url.href} with a token`) : undefined
      const { status, headers = {}, body = '', from } = known ?? answers.get(url.href) ?? { status: 404 }
      const read = async function* () {
        yield Buffer.from(body)
      }
      const cancel = () => undefined
      return { status, headers: new Map(Object.entries(headers)), url: new URL(from ?? url), body: read(), cancel }
    },
  }
  const get = (url: string, subject = 'app', authorization: string | undefined = BASIC) =>
    tokens.get(new URL(url), { scope: 'of-remote', subject, headers: {}, authorization })
  const demands = (url: string, challenge: string, from?: string) => {
    answers.set(url, { status: 401, headers: { 'www-authenticate': challenge }, ...(from ? { from } : {}) })
    answers.set(`${url} with a token`, { status: 200 })
  }
  const gives = (url: string, body: object) => answers.set(url, { status: 200, body: JSON.stringify(body) })
  const asked = (host: string) => sent.filter(({ url }) => new URL(url).host === host)

  beforeEach(() => {
    sent = []
    answers = new Map()
    nowMs = 0
    tokens = new UpstreamTokens(client, () => nowMs)
  })

  it('each scope of a demand is asked of the realm, which may lie at another host, with the repository’s credentials', async () => {
    demands(
      'https://up.test/a',
      'Bearer realm="https://auth.test/t?x=1",service="up",scope="repository:a:pull r:b:pull"',
    )
    gives('https://auth.test/t?x=1&service=up&scope=repository%3Aa%3Apull&scope=r%3Ab%3Apull', { token: 'one' })
    assert.equal((await get('https://up.test/a')).status, 200)
    assert.deepEqual(
      sent.map(({ authorization }) => authorization),
      [BASIC, BASIC, 'Bearer one'],
    )
  })

  it('a token is used until it expires, at most', async () => {
    demands('https://up.test/a', 'Basic realm="x", Bearer realm="https://auth.test/t"')
    gives('https://auth.test/t', { access_token: 'one', expires_in: 100 })
    await get('https://up.test/a')
    nowMs = 80_000
    await get('https://up.test/a')
    assert.equal(asked('auth.test').length, 1)
    nowMs = 101_000
    await get('https://up.test/a')
    assert.equal(asked('auth.test').length, 2)
    assert.equal(asked('up.test').filter(({ authorization }) => authorization === BASIC).length, 1)
  })

  it('many who need the same token cause one question', async () => {
    demands('https://up.test/a', 'Bearer realm="https://auth.test/t"')
    gives('https://auth.test/t', { token: 'one' })
    await Promise.all(Array.from({ length: 10 }, () => get('https://up.test/a')))
    assert.equal(asked('auth.test').length, 1)
  })

  it('other credentials get another token', async () => {
    demands('https://up.test/a', 'Bearer realm="https://auth.test/t"')
    gives('https://auth.test/t', { token: 'one' })
    await get('https://up.test/a')
    await get('https://up.test/a', 'app', 'Basic b3RoZXI6b3RoZXI=')
    assert.deepEqual(
      asked('auth.test').map(({ authorization }) => authorization),
      [BASIC, 'Basic b3RoZXI6b3RoZXI='],
    )
  })

  it('a demand of a host that the upstream redirects to is not met', async () => {
    demands('https://up.test/a', 'Bearer realm="https://evil.test/t"', 'https://storage.test/a')
    assert.equal((await get('https://up.test/a')).status, 401)
    assert.equal(sent.length, 1)
  })

  it('nothing is sent to a realm over http when the upstream is reached over https', async () => {
    demands('https://up.test/a', 'Bearer realm="http://up.test/t"')
    await assert.rejects(get('https://up.test/a'), { kind: 'upstream' })
    assert.equal(sent.length, 1)
  })

  for (const challenge of ['Bearer realm="a name"', 'Basic realm="https://auth.test/t"', 'Bearer', ''])
    it(`"${challenge}" is a refusal`, async () => {
      demands('https://up.test/a', challenge)
      assert.equal((await get('https://up.test/a')).status, 401)
      assert.equal(sent.length, 1)
    })
})
