/** What npm can do besides installing, for real, with the npm of this machine and with npm 10. Writes go through a node, as an office's would. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type TestFleet, testFleet, until } from '../support/fleet.js'
import { packed, publishDocument } from '../support/npm-package.js'
import { fails, missing, newHome, type RunOptions, succeeds } from './client.js'
import { NPM, NPM_10, writeNpmrc } from './installers.js'

const USER = 'ann'
const PASSWORD = 'a password of ann, 2026'

describe('npm commands', { timeout: 240_000 }, () => {
  let fleet: TestFleet
  before(async () => {
    fleet = await testFleet({ nodes: 1 })
    await fleet.api('POST', '/api/v1/users', { username: USER, password: PASSWORD, email: 'ann@example.test' })
    await fleet.api('POST', '/api/v1/grants', { user: USER, repository: '*', actions: ['read', 'write', 'delete'] })
  })
  after(() => fleet.close())

  for (const { client, label } of [NPM, NPM_10]) {
    describe(client.name, missing(client), () => {
      const registry = (key = 'open') => `${fleet.nodeUrls[0]}/repository/${key}-${label}/`
      let folder: string
      let home: string
      const options = (cwd = folder): RunOptions => ({ cwd, home })
      const npm = (...args: string[]) => succeeds(client, args, options())
      const refused = (...args: string[]) => fails(client, [...args, '--fetch-retries=0'], options())
      const view = async (...args: string[]): Promise<unknown> => JSON.parse(await npm('view', ...args, '--json'))
      const tags = async () => (await npm('dist-tag', 'ls', 'pine')).trim().split('\n').sort()

      before(async () => {
        for (const [key, is_public] of [
          ['open', true],
          ['closed', false],
        ] as const) {
          const draft = { key: `${key}-${label}`, name: key, format: 'npm', repo_type: 'local', is_public }
          await fleet.api('POST', '/api/v1/repositories', draft)
          await until(async () => (await fetch(`${registry(key)}-/ping`)).status === (is_public ? 200 : 401))
        }
        home = await newHome(fleet.dir)
        folder = await mkdtemp(join(fleet.dir, 'project-'))
        await writeNpmrc(folder, { url: registry() })
      })

      it('logs in with user name and password, and knows who it is', async () => {
        assert.match(await refused('whoami'), /ENEEDAUTH|E401/)
        const said = await fails(client, ['login', '--auth-type=legacy'], { ...options(), answers: answers('wrong') })
        assert.match(said, /User name or password is wrong|E401|Incorrect/)
        await succeeds(client, ['login', '--auth-type=legacy'], { ...options(), answers: answers(PASSWORD) })
        assert.equal((await npm('whoami')).trim(), USER)
        await npm('ping')
      })

      it('packs what it then publishes, and gets the same bytes back', async () => {
        await manifest({ name: 'pine', version: '1.0.0', description: 'an evergreen', keywords: ['tree'] })
        const [file = ''] = (await npm('pack')).trim().split('\n').slice(-1)
        const packed = await readFile(join(folder, file))
        await npm('publish', file)
        const elsewhere = await mkdtemp(join(fleet.dir, 'packed-'))
        await writeNpmrc(elsewhere, { url: registry() })
        await succeeds(client, ['pack', 'pine'], options(elsewhere))
        const [back = ''] = (await readdir(elsewhere)).filter((name) => name.endsWith('.tgz'))
        assert.ok(packed.equals(await readFile(join(elsewhere, back))))
      })

      it('says in its own words why a version is not published again', async () => {
        const said = await refused('publish')
        assert.match(said, /[Yy]ou cannot publish over the previously published versions: 1\.0\.0/)
      })

      it('adds, lists and removes dist-tags', async () => {
        await manifest({ name: 'pine', version: '1.1.0', description: 'an evergreen', keywords: ['tree'] })
        await npm('publish', '--tag', 'next')
        assert.deepEqual(await tags(), ['latest: 1.0.0', 'next: 1.1.0'])
        await npm('dist-tag', 'add', 'pine@1.1.0', 'stable')
        await npm('dist-tag', 'rm', 'pine', 'next')
        assert.deepEqual(await tags(), ['latest: 1.0.0', 'stable: 1.1.0'])
        assert.match(await refused('dist-tag', 'rm', 'pine', 'nothing'), /nothing/)
        assert.match(await refused('dist-tag', 'add', 'pine@9.9.9', 'stable'), /9\.9\.9/)
      })

      it('deprecates and undeprecates', async () => {
        await npm('deprecate', 'pine@1.0.0', 'use 1.1.0')
        assert.equal(await view('pine@1.0.0', 'deprecated'), 'use 1.1.0')
        if (client === NPM.client) await npm('undeprecate', 'pine@1.0.0')
        else await npm('deprecate', 'pine@1.0.0', '')
        assert.equal((await npm('view', 'pine@1.0.0', 'deprecated')).trim(), '')
      })

      it('views and searches', async () => {
        assert.deepEqual(await view('pine', 'versions'), ['1.0.0', '1.1.0'])
        assert.deepEqual(await view('pine@stable', 'version'), '1.1.0')
        assert.match(await npm('view', 'pine'), /an evergreen/)
        assert.match(await refused('view', 'larch'), /E404/)
        assert.match(await refused('view', 'pine@7'), /E404|No match/)
        const found = JSON.parse(await npm('search', 'evergreen', '--json')) as { name: string }[]
        assert.deepEqual(
          found.map(({ name }) => name),
          ['pine'],
        )
      })

      it('lists access and owners, and changes owners', async () => {
        assert.match(await npm('access', 'list', 'packages'), /pine: read-write/)
        assert.match(await npm('access', 'list', 'collaborators', 'pine'), new RegExp(`${USER}: read-write`))
        assert.match(await npm('access', 'get', 'status', 'pine'), /public/)
        assert.match(await npm('owner', 'ls', 'pine'), new RegExp(`^${USER} `))
        await npm('owner', 'add', 'bob', 'pine')
        assert.match(await npm('owner', 'ls', 'pine'), /bob/)
        await npm('owner', 'rm', 'bob', 'pine')
        assert.doesNotMatch(await npm('owner', 'ls', 'pine'), /bob/)
      })

      it('makes, lists and revokes tokens, and a revoked one is worth nothing', async () => {
        const keys = async () =>
          (JSON.parse(await npm('token', 'list', '--json')) as { key: string }[]).map(({ key }) => key)
        const before = await keys()
        const answering = { ...options(), answers: [['password: ', PASSWORD]] as [string, string][] }
        const made = await succeeds(client, ['token', 'create', '--json'], answering)
        const { token } = JSON.parse(made.slice(made.indexOf('{'))) as { token: string }
        // npm does not say the key of the one it made.
        const [key = '', ...more] = (await keys()).filter((one) => !before.includes(one))
        assert.deepEqual(more, [])
        const whoami = () => fetch(`${registry()}-/whoami`, { headers: { authorization: `Bearer ${token}` } })
        assert.equal((await whoami()).status, 200)
        await npm('token', 'revoke', key)
        assert.deepEqual(await keys(), before)
        assert.equal((await whoami()).status, 401)
      })

      it('unpublishes one version, then the whole package', async () => {
        await npm('unpublish', 'pine@1.1.0')
        assert.deepEqual([await view('pine', 'versions')].flat(), ['1.0.0'])
        assert.deepEqual(await tags(), ['latest: 1.0.0'])
        assert.equal((await fetch(`${registry()}pine/-/pine-1.1.0.tgz`)).status, 404)
        await manifest({ name: 'pine', version: '1.1.0' })
        assert.match(await refused('publish'), /1\.1\.0/, 'what was removed is not published again')
        await npm('unpublish', 'pine', '--force')
        assert.match(await refused('view', 'pine'), /E404/)
      })

      it('reads a private repository with a token in .npmrc, and not without', async () => {
        const token = await newToken()
        const secret = await mkdtemp(join(fleet.dir, 'private-'))
        await writeNpmrc(secret, { url: registry('closed'), token })
        await writeFile(join(secret, 'package.json'), JSON.stringify({ name: '@secret/pine', version: '1.0.0' }))
        await succeeds(client, ['publish'], options(secret))
        const consumer = await mkdtemp(join(fleet.dir, 'consumer-'))
        await writeFile(join(consumer, 'package.json'), JSON.stringify({ name: 'consumer', version: '1.0.0' }))
        await writeNpmrc(consumer, { url: registry('closed') })
        const stranger = { cwd: consumer, home: await newHome(fleet.dir) }
        const install = ['install', '@secret/pine', '--no-audit', '--no-fund']
        assert.match(await fails(client, [...install, '--fetch-retries=0'], stranger), /E401|E404/)
        await writeNpmrc(consumer, { url: registry('closed'), token })
        await succeeds(client, install, stranger)
        assert.ok((await readdir(join(consumer, 'node_modules', '@secret'))).includes('pine'))
      })

      it('logs out, and what it was given is worth nothing from then on', async () => {
        const settings = await readFile(join(home, '.npmrc'), 'utf8')
        const token = /_authToken=(\S+)/.exec(settings)?.[1] ?? ''
        const whoami = () => fetch(`${registry()}-/whoami`, { headers: { authorization: `Bearer ${token}` } })
        assert.equal((await whoami()).status, 200)
        await npm('logout')
        assert.equal((await whoami()).status, 401)
        assert.match(await refused('whoami'), /ENEEDAUTH|E401/)
      })

      async function manifest(content: { name: string; version: string } & Record<string, unknown>): Promise<void> {
        await writeFile(join(folder, 'package.json'), JSON.stringify(content))
      }
    })
  }

  it('a Sigstore bundle that comes with a publish is given out as the attestation of the version', async () => {
    const draft = { key: 'attested', name: 'attested', format: 'npm', repo_type: 'local', is_public: true }
    await fleet.api('POST', '/api/v1/repositories', draft)
    const described = { name: '@grove/fir', version: '2.0.0' }
    const tarball = packed(described)
    const bundle = bundleFor(`pkg:npm/%40grove/fir@2.0.0`, tarball)
    const document = publishDocument(described, {
      tarball,
      edit: ({ _attachments }) => {
        const data = JSON.stringify(bundle)
        _attachments['@grove/fir-2.0.0.sigstore'] = { content_type: bundle.mediaType, data, length: data.length }
      },
    })
    const reply = await fetch(`${fleet.primaryUrl}/repository/attested/@grove%2ffir`, {
      method: 'PUT',
      headers: { authorization: fleet.admin, 'content-type': 'application/json' },
      body: JSON.stringify(document),
    })
    assert.equal(reply.status, 201, await reply.text())
    const atNode = `${fleet.nodeUrls[0]}/repository/attested/`
    const attestations = () => fetch(`${atNode}-/npm/v1/attestations/@grove%2ffir@2.0.0`)
    await until(async () => (await attestations()).status === 200)
    const [only] = ((await (await attestations()).json()) as { attestations: unknown[] }).attestations
    assert.deepEqual(only, { predicateType: PREDICATE, bundle })
    const { versions } = (await (await fetch(`${atNode}@grove%2ffir`)).json()) as {
      versions: Record<string, { dist: { attestations: { url: string } } }>
    }
    const url = versions['2.0.0']?.dist.attestations.url ?? ''
    assert.equal((await fetch(url)).status, 200, 'npm audit signatures reads it at the address in the packument')
  })

  async function newToken(): Promise<string> {
    const login = await fetch(`${fleet.primaryUrl}/api/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: USER, password: PASSWORD }),
    })
    return ((await login.json()) as { access_token: string }).access_token
  }
})

const PREDICATE = 'https://slsa.dev/provenance/v1'

function answers(password: string): [string, string][] {
  return [
    ['Username: ', USER],
    ['Password: ', password],
  ]
}

/** As `npm publish --provenance` sends it, without signatures. */
function bundleFor(purl: string, tarball: Buffer) {
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: purl, digest: { sha512: createHash('sha512').update(tarball).digest('hex') } }],
    predicateType: PREDICATE,
    predicate: {},
  }
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: {},
    dsseEnvelope: {
      payload: Buffer.from(JSON.stringify(statement)).toString('base64'),
      payloadType: 'application/vnd.in-toto+json',
      signatures: [],
    },
  }
}
