/** Trusted publishing: clients in a CI job get a token by themselves, from the address that GitHub's runners give them. */
import assert from 'node:assert/strict'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type TestFleet, testFleet } from '../support/fleet.js'
import { type TestIssuer, testIssuer } from '../support/issuer.js'
import { wheel } from '../support/python-package.js'
import { type TlsFront, tlsFront } from '../support/tls-front.js'
import { fails, missing, newHome, ofPython, succeeds } from './client.js'
import { NPM } from './installers.js'

const UV = ofPython('uv')
const JOB = { sub: 'repo:acme/tool:ref:refs/heads/main', repository: 'acme/tool', repository_owner_id: '4711' }

describe('trusted publishing', { timeout: 120_000 }, () => {
  let fleet: TestFleet
  let issuer: TestIssuer
  /** uv asks for tokens over https only. */
  let front: TlsFront
  before(async () => {
    fleet = await testFleet({ nodes: 1, primary: { upstreamAllow: ['127.0.0.1'] } })
    issuer = await testIssuer()
    front = await tlsFront(fleet.dir, fleet.primaryUrl)
    for (const [key, format] of [
      ['npm-trusted', 'npm'],
      ['pypi-trusted', 'pypi'],
    ])
      await fleet.api('POST', '/api/v1/repositories', { key, name: key, format, repo_type: 'local' })
    await fleet.api('POST', '/api/v1/users', { username: 'ci' })
    await fleet.api('POST', '/api/v1/grants', { user: 'ci', repository: '*', actions: ['read', 'write'] })
    await fleet.api('PUT', '/api/v1/trust-rules/tool', {
      issuer: issuer.url,
      allow_http: true,
      claims: { repository: 'acme/tool', repository_owner_id: '4711' },
      account: 'ci',
      scopes: ['read', 'write'],
    })
  })
  after(async () => {
    await fleet.close()
    await issuer.close()
    await front.close()
  })

  /** A job that may ask for tokens, of which it gets one. */
  const inJob = async (aud: string, claims = {}) => {
    issuer.answers.set('/job', { json: { value: await issuer.sign({ ...JOB, aud, ...claims }) } })
    const variables = {
      CI: 'true',
      GITHUB_ACTIONS: 'true',
      ACTIONS_ID_TOKEN_REQUEST_URL: `${issuer.url}/job?api=1`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of-the-runner',
      SSL_CERT_FILE: front.certificate,
    }
    return { cwd: await mkdtemp(join(fleet.dir, 'job-')), home: await newHome(fleet.dir), variables }
  }

  const npmPublish = async (url: string, name: string, claims = {}) => {
    const job = await inJob('npm:127.0.0.1', claims)
    await writeFile(join(job.cwd, 'package.json'), JSON.stringify({ name, version: '1.0.0' }))
    return { args: ['publish', '--registry', `${url}/repository/npm-trusted/`, '--access', 'public'], job }
  }

  it(
    'npm publishes from a job that a rule admits, also through a node, and from no other',
    missing(NPM.client),
    async () => {
      const own = await npmPublish(fleet.primaryUrl, '@acme/trusted')
      await succeeds(NPM.client, own.args, own.job)
      const node = await npmPublish(fleet.nodeUrls[0] ?? '', 'trusted-too')
      await succeeds(NPM.client, node.args, node.job)
      const other = await npmPublish(fleet.primaryUrl, 'untrusted', { repository_owner_id: '4712' })
      assert.match(await fails(NPM.client, other.args, other.job), /ENEEDAUTH|E401|need auth/i)
      for (const [name, status] of [
        ['@acme/trusted', 200],
        ['trusted-too', 200],
        ['untrusted', 404],
      ] as const)
        assert.equal((await packument(name)).status, status, name)
    },
  )

  const packument = (name: string) =>
    fetch(`${fleet.primaryUrl}/repository/npm-trusted/${name}`, { headers: { authorization: fleet.admin } })

  const upload = async (name: string, args: string[], claims = {}) => {
    const audience = await (await fetch(`${fleet.primaryUrl}/_/oidc/audience`)).json()
    const job = await inJob((audience as { audience: string }).audience, claims)
    const { file, bytes } = wheel({ name, version: '1.0' })
    await writeFile(join(job.cwd, file), bytes)
    return { args: [...args, file], job }
  }

  // Twine does this with PyPI itself only.
  it('uv publishes from a job that a rule admits, and from no other', missing(UV), async () => {
    const name = 'cairn-trusted'
    const args = ['publish', '--trusted-publishing', 'always', '--publish-url']
    const url = `${front.url}/repository/pypi-trusted/legacy/`
    const other = await upload(name, [...args, url], { repository: 'acme/other' })
    assert.match(await fails(UV, other.args, other.job), /No trust rule admits this workload/)
    const own = await upload(name, [...args, url])
    await succeeds(UV, own.args, own.job)
    const page = `${fleet.primaryUrl}/repository/pypi-trusted/simple/${name}/`
    assert.equal((await fetch(page, { headers: { authorization: fleet.admin } })).status, 200)
  })
})
