/** The client commands against a scripted registry: what they send, what they say, and their exit codes. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Client } from '../../deploy/client.js'
import { completionScript } from '../../deploy/commands/completion.js'
import { program } from '../../deploy/program.js'
import { line, progress } from '../../deploy/transfer/progress.js'
import { putFile } from '../../deploy/transfer/put.js'
import { parseTarget } from '../../deploy/transfer/target.js'
import { cairn, json, type Said, type Scripted, scripted, sha256 } from './scripted.js'

let folder: string
let registry: Scripted
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cairn-cli-'))
  registry = await scripted()
})
afterEach(async () => {
  await registry.close()
  await rm(folder, { recursive: true, force: true })
})

const run = (...args: string[]): Promise<Said> => cairn(args, { folder, environment: { CAIRN_URL: registry.url } })
const PART = 16 * 1024 * 1024

describe('put', () => {
  it('sends a file with its digest, and says where it is', async () => {
    await writeFile(join(folder, 'a.bin'), 'hello')
    const { code, out } = await run('put', 'a.bin', 'files/x/')
    assert.equal(code, 0)
    assert.match(out, /^Stored .*\/repository\/files\/x\/a\.bin \(5 B, sha256 2cf24dba/)
    assert.equal(registry.files.get('/repository/files/x/a.bin')?.toString(), 'hello')
  })

  it('the same bytes again are not stored again, other bytes are a conflict', async () => {
    await writeFile(join(folder, 'a.bin'), 'hello')
    await run('put', 'a.bin', 'files/a.bin')
    assert.match((await run('put', 'a.bin', 'files/a.bin')).out, /^Already there/)
    await writeFile(join(folder, 'a.bin'), 'other')
    const { code, err } = await run('put', 'a.bin', 'files/a.bin')
    assert.deepEqual([code, err], [5, 'cairn: It is there already with other bytes\n'])
  })

  it('standard input is sent as it comes, and the digest is compared afterwards', async () => {
    const scene = { folder, environment: { CAIRN_URL: registry.url }, input: 'from a pipe' }
    const { code, out } = await cairn(['put', '-', 'files/p', '--json'], scene)
    assert.equal(code, 0)
    assert.equal(JSON.parse(out).digest, sha256(Buffer.from('from a pipe')))
    registry.intercept = (_request, reply) => {
      reply.writeHead(201, { 'x-checksum-sha256': '0'.repeat(64) }).end()
      return true
    }
    assert.equal((await cairn(['put', '-', 'files/q'], scene)).code, 7)
  })

  it('a large file goes in parts, and goes on where an interrupted attempt had come', async () => {
    const bytes = randomBytes(PART * 2 + 100)
    await writeFile(join(folder, 'big'), bytes)
    let parts = 0
    registry.intercept = (request, reply) => {
      if (!/^bytes \d/.test(request.headers['content-range'] ?? '') || ++parts !== 2) return false
      json(reply, 507, { detail: 'No room' })
      return true
    }
    assert.equal((await run('put', 'big', 'files/big')).code, 1)
    const { code, out } = await run('put', 'big', 'files/big', '--json')
    assert.equal(code, 0)
    assert.equal(JSON.parse(out).resumed_at, PART)
    assert.deepEqual(registry.files.get('/repository/files/big'), bytes)
    const sent = registry.seen.filter(({ range }) => /^bytes \d/.test(range)).map(({ range }) => range.split('/')[0])
    assert.deepEqual(sent, [
      `bytes 0-${PART - 1}`,
      `bytes ${PART}-${2 * PART - 1}`,
      `bytes ${PART}-${2 * PART - 1}`,
      `bytes ${2 * PART}-${2 * PART + 99}`,
    ])
  })

  it('a connection that breaks is tried again from where the registry stands', async () => {
    const bytes = randomBytes(2500)
    const path = join(folder, 'f')
    await writeFile(path, bytes)
    let parts = 0
    registry.intercept = (request, reply) => {
      if (!/^bytes \d/.test(request.headers['content-range'] ?? '') || ++parts !== 2) return false
      reply.destroy()
      return true
    }
    const client = new Client({ url: registry.url, token: undefined })
    const sent = await putFile(client, '/repository/files/f', path, { partBytes: 1000, retryMs: [0, 0] })
    assert.equal(sent.created, true)
    assert.deepEqual(registry.files.get('/repository/files/f'), bytes)
  })

  it('a registry that takes nothing is given up', async () => {
    const path = join(folder, 'f')
    await writeFile(path, randomBytes(2500))
    registry.intercept = (request, reply) => {
      if (!request.headers['content-range']) return false
      reply.writeHead(202, { 'upload-offset': 0 }).end()
      return true
    }
    const client = new Client({ url: registry.url, token: undefined })
    const options = { partBytes: 1000, retryMs: [0, 0] }
    await assert.rejects(putFile(client, '/repository/files/f', path, options), /takes no more of this upload/)
  })

  it('a file that is not there, and a target without a name, are said', async () => {
    assert.equal((await run('put', 'nothing', 'files/x')).code, 3)
    assert.equal((await run('put', '-', 'files/')).code, 2)
  })
})

describe('get', () => {
  const bytes = randomBytes(100_000)
  beforeEach(() => registry.files.set('/repository/files/a%20b.bin', bytes))
  const got = () => readFile(join(folder, 'a b.bin'))
  const left = async () => (await readdir(folder)).filter((name) => name.endsWith('.part'))

  it('fetches, verifies and names the file', async () => {
    const { code, out } = await run('get', 'files/a b.bin', '--json')
    assert.equal(code, 0)
    const said = JSON.parse(out)
    assert.deepEqual([said.verified, said.size, said.digest], [true, bytes.length, sha256(bytes)])
    assert.deepEqual(await got(), bytes)
    assert.deepEqual(await left(), [])
  })

  it('goes on with what is there of an earlier attempt', async () => {
    await writeFile(join(folder, 'a b.bin.part'), bytes.subarray(0, 60_000))
    assert.equal(JSON.parse((await run('get', 'files/a b.bin', '--json')).out).resumed_at, 60_000)
    assert.equal(registry.seen[0]?.range, 'bytes=60000-')
    assert.deepEqual(await got(), bytes)
  })

  it('an earlier attempt that was complete is verified and taken', async () => {
    await writeFile(join(folder, 'a b.bin.part'), bytes)
    assert.equal((await run('get', 'files/a b.bin')).code, 0)
    assert.deepEqual(await got(), bytes)
  })

  it('an earlier attempt of other bytes, or of too many, is started over', async () => {
    for (const size of [60_000, 200_000]) {
      await writeFile(join(folder, 'a b.bin.part'), randomBytes(size))
      assert.equal((await run('get', 'files/a b.bin')).code, 0)
      assert.deepEqual(await got(), bytes)
    }
  })

  it('wrong bytes are never given the name, and leave nothing', async () => {
    await writeFile(join(folder, 'a b.bin'), 'before')
    registry.intercept = (_request, reply) => {
      reply.writeHead(200, { 'x-checksum-sha256': sha256(bytes) }).end('wrong')
      return true
    }
    assert.equal((await run('get', 'files/a b.bin')).code, 7)
    assert.equal((await got()).toString(), 'before')
    assert.deepEqual(await left(), [])
  })

  it('a connection that breaks in the middle is gone on with', async () => {
    let broken = false
    registry.intercept = (_request, reply) => {
      if (broken) return false
      broken = true
      reply.writeHead(200, { 'content-length': bytes.length, 'x-checksum-sha256': sha256(bytes) })
      reply.write(bytes.subarray(0, 30_000), () => reply.destroy())
      return true
    }
    assert.equal((await run('get', 'files/a b.bin')).code, 0)
    assert.deepEqual(await got(), bytes)
  })

  it('to standard output the bytes alone are written', async () => {
    registry.files.set('/repository/files/t', Buffer.from('text'))
    assert.deepEqual(await run('get', `${registry.url}/repository/files/t`, '-o', '-'), {
      code: 0,
      out: 'text',
      err: '',
    })
  })

  it('what is not there is exit code 3, in the words of the registry', async () => {
    const said = await run('get', 'files/none')
    assert.deepEqual([said.code, said.err], [3, 'cairn: There is no /repository/files/none\n'])
    assert.deepEqual(await left(), [])
  })
})

describe('credentials', () => {
  const session = { access_token: 'session', refresh_token: 'refresh', expires_in: 900 }
  beforeEach(() => {
    registry.intercept = (request, reply, body) => {
      const { method, url: path = '' } = request
      if (path === '/api/v1/auth/login') {
        if (JSON.parse(body.toString()).password === 'right one') json(reply, 200, session)
        else json(reply, 401, { detail: 'User or password is wrong', code: 'unauthenticated' })
      } else if (path === '/api/v1/auth/tokens' && method === 'POST')
        json(reply, 201, { id: 'id-1', value: 'cairn_value' })
      else if (path === '/api/v1/auth/me') json(reply, 200, { username: 'somebody' })
      else reply.writeHead(204).end()
      return true
    }
  })
  const login = (password: string) =>
    cairn(['login', '--username', 'admin', '--password-stdin'], {
      folder,
      environment: { CAIRN_URL: registry.url },
      input: `${password}\n`,
    })
  const stored = () => join(folder, '.config', 'cairn', 'credentials.json')

  it('login keeps a token, for this registry and this user’s eyes only, and logout revokes it', async () => {
    assert.equal((await login('right one')).code, 0)
    assert.equal((await stat(stored())).mode & 0o777, 0o600)
    assert.doesNotMatch(await readFile(stored(), 'utf8'), /right one|session/)
    await run('whoami')
    assert.equal(registry.seen.at(-1)?.authorization, 'Bearer cairn_value')
    assert.equal((await run('logout')).code, 0)
    assert.deepEqual(
      registry.seen.slice(-1).map(({ method, path, authorization }) => [method, path, authorization]),
      [['DELETE', '/api/v1/auth/tokens/id-1', 'Bearer cairn_value']],
    )
    await run('whoami')
    assert.equal(registry.seen.at(-1)?.authorization, '')
  })

  it('a token made for one registry never goes to another', async () => {
    await login('right one')
    const other = await scripted()
    try {
      await run('get', `${other.url}/repository/files/x`)
      assert.deepEqual(
        other.seen.map(({ authorization }) => authorization),
        [''],
      )
    } finally {
      await other.close()
    }
  })

  it('a wrong password is exit code 4, keeps nothing and is not repeated', async () => {
    const { code, err } = await login('wrong one')
    assert.deepEqual([code, err], [4, 'cairn: User or password is wrong\n'])
    await assert.rejects(readFile(stored()))
  })

  it('CAIRN_TOKEN goes before what is stored', async () => {
    await login('right one')
    await cairn(['whoami'], { folder, environment: { CAIRN_URL: registry.url, CAIRN_TOKEN: 'from-env' } })
    assert.equal(registry.seen.at(-1)?.authorization, 'Bearer from-env')
  })

  it('where nobody can be asked, a missing name is wrong usage', async () => {
    assert.equal((await run('login')).code, 2)
  })
})

describe('lists and records', () => {
  it('every page of a list is read', async () => {
    registry.intercept = (request, reply) => {
      const after = new URL(request.url ?? '', registry.url).searchParams.get('after')
      const page = after === null ? { items: [{ key: 'a' }], next: 'a' } : { items: [{ key: 'b' }], next: null }
      json(reply, 200, page)
      return true
    }
    assert.deepEqual(JSON.parse((await run('repo', 'list', '--json')).out), [{ key: 'a' }, { key: 'b' }])
    assert.equal((await run('ls', '--limit', '1')).out.split('\n').length, 3)
  })

  it('what a registry says cannot steer the terminal', async () => {
    registry.intercept = (_request, reply) => {
      json(reply, 200, { items: [{ key: '\u001b[2Jevil', format: 'x', repo_type: 'y' }], next: null })
      return true
    }
    assert.ok(!(await run('ls')).out.includes('\u001b'))
  })

  it('a local file is verified against what is recorded', async () => {
    await writeFile(join(folder, 'f'), 'bytes')
    const digest = sha256(Buffer.from('bytes'))
    let recorded = digest
    registry.intercept = (request, reply) => {
      if (request.url?.includes('/search/'))
        json(reply, 200, { items: [{ repository: 'files', path: 'x/f', digest }], next: null })
      else if (request.url?.includes('/proof/')) json(reply, 404, { detail: 'An older registry' })
      else json(reply, 200, { digest: recorded })
      return true
    }
    assert.match((await run('verify', 'f')).out, new RegExp(`${digest}, as recorded for files/x/f`))
    assert.equal((await run('verify', 'f', 'files/x/f')).code, 0)
    recorded = '0'.repeat(64)
    assert.equal((await run('verify', 'f', 'files/x/f')).code, 7)
  })

  it('status is exit code 6 for a part that is not ready', async () => {
    registry.intercept = (request, reply) => {
      if (request.url === '/health') json(reply, 200, { status: 'ok', part: 'node' })
      else json(reply, 503, { status: 'not ready', detail: 'the database does not answer' })
      return true
    }
    const { code, err } = await run('status')
    assert.deepEqual([code, err], [6, 'cairn: It is not ready: the database does not answer\n'])
  })

  it('status --mesh says where the bytes are, and what was not asked', async () => {
    const one = { blobs: 1, bytes: 1024 }
    registry.intercept = (request, reply) => {
      if (request.url !== '/api/v1/mesh') return false
      const places = [{ place: 'primary', nodes: 1, blobs: 3, bytes: 4096, only_here: one }]
      const repositories = [
        { key: 'raw', blobs: 3, bytes: 4096, copies: 1.5, single: one, none: { blobs: 0, bytes: 0 } },
      ]
      json(reply, 200, { share: 0.125, silent: 2, places, repositories })
      return true
    }
    const { out } = await run('status', '--mesh')
    assert.match(out, /primary +1 +3 \(4\.0 KiB\) +1 \(1\.0 KiB\)/)
    assert.match(out, /raw +3 \(4\.0 KiB\) +1\.5 +1 \(1\.0 KiB\) +0 \(0 B\)/)
    assert.match(out, /12\.5 % of all blobs/)
    assert.match(out, /2 connected nodes did not answer/)
  })

  it('what a repository is made with is sent as REST wants it', async () => {
    registry.intercept = (_request, reply) => {
      json(reply, 201, { url: 'u' })
      return true
    }
    await run(
      'repo',
      'create',
      'all',
      '--format',
      'npm',
      '--type',
      'virtual',
      '--member',
      'a',
      '--member',
      'b',
      '--public',
      '--quota',
      '1GiB',
    )
    assert.deepEqual(JSON.parse(registry.seen.at(-1)?.body ?? ''), {
      key: 'all',
      format: 'npm',
      repo_type: 'virtual',
      is_public: true,
      quota_bytes: 1024 ** 3,
      members: ['a', 'b'],
    })
    assert.equal((await run('repo', 'create', 'x', '--format', 'npm', '--quota', 'lots')).code, 2)
    assert.equal((await run('repo', 'delete', 'x')).code, 2)
  })
})

describe('exit codes', () => {
  const statuses: [number, number][] = [
    [400, 1],
    [401, 4],
    [403, 4],
    [404, 3],
    [409, 5],
    [412, 5],
    [429, 6],
    [500, 6],
    [502, 6],
    [503, 6],
    [507, 1],
  ]
  for (const [status, code] of statuses)
    it(`a reply of ${status} is ${code}`, async () => {
      registry.intercept = (_request, reply) => {
        json(reply, status, { detail: 'because' })
        return true
      }
      assert.deepEqual(await run('whoami'), { code, out: '', err: 'cairn: because\n' })
    })

  it('nobody at the address is 6', async () => {
    const { url } = registry
    await registry.close()
    const { code, err } = await cairn(['whoami'], { folder, environment: { CAIRN_URL: url } })
    assert.equal(code, 6)
    assert.match(err, /^cairn: Nothing answers at .*ECONNREFUSED/)
  })

  for (const args of [
    ['lst'],
    ['get'],
    ['node', 'lst'],
    ['up', '--nodes', 'many'],
    ['ls', '--limit', '0'],
    ['node', '--port', 'x'],
  ])
    it(`"cairn ${args.join(' ')}" is 2`, async () => {
      assert.equal((await run(...args)).code, 2)
    })

  it('help is 0', async () => {
    const { code, out } = await run('--help')
    assert.equal(code, 0)
    assert.match(out, /Exit codes: 0 done/)
  })
})

it('a target is a repository and a path, or a URL of any form', () => {
  const fields = (text: string) => {
    const { key, path, urlPath } = parseTarget(text)
    return [key, path, urlPath]
  }
  assert.deepEqual(fields('files/a b/ü.txt'), ['files', 'a b/ü.txt', '/repository/files/a%20b/%C3%BC.txt'])
  assert.deepEqual(fields('http://h/repository/files/a%20b'), ['files', 'a b', '/repository/files/a%20b'])
  assert.deepEqual(fields('http://h/api/v1/repositories/files/download/x/y'), [
    'files',
    'x/y',
    '/api/v1/repositories/files/download/x/y',
  ])
  for (const wrong of ['/x', 'http://user:secret@h/repository/f/x', 'http://h/repository/f/%ff'])
    assert.throws(() => parseTarget(wrong), { code: 'usage' })
})

it('progress is written only where somebody watches', () => {
  const written: string[] = []
  const err = new Writable({
    write: (chunk, _encoding, done) => {
      written.push(String(chunk))
      done()
    },
  })
  let nowMs = 0
  progress('f', 100, { err, watched: false }, () => nowMs).at(50)
  assert.deepEqual(written, [])
  const shown = progress('f', 100, { err, watched: true }, () => nowMs)
  shown.at(0)
  nowMs = 1000
  shown.at(50)
  shown.at(51)
  shown.end()
  assert.equal(written.length, 2)
  assert.match(line('f', 50, 100, 2048), /f {2}\[={12} {12}\] {2}50 % {2}50 B of 100 B {2}2\.0 KiB\/s/)
})

describe('signing on elsewhere', () => {
  const answering = (status: number, body: object): void => {
    registry.intercept = (_request, reply) => {
      json(reply, status, body)
      return true
    }
  }

  it('login takes the token that a job was given, and keeps what it is exchanged for', async () => {
    await writeFile(join(folder, 'token'), 'of.the.job\n')
    const value = `cairn_${'x'.repeat(43)}`
    answering(200, { access_token: value, username: 'ci', expires_in: 900, scopes: ['read'] })
    const { code, out } = await run('login', '--oidc-token-file', 'token')
    assert.deepEqual([code, out], [0, `Logged in to ${registry.url} as ci for 15 minutes\n`])
    assert.deepEqual(JSON.parse(registry.seen[0]?.body ?? ''), { token: 'of.the.job' })
    answering(200, { username: 'ci' })
    await run('whoami')
    assert.equal(registry.seen.at(-1)?.authorization, `Bearer ${value}`)
    assert.equal((await run('login', '--oidc-token-file', 'missing')).code, 2)
    assert.equal((await run('login', '--oidc-token-file', 'token', '--username', 'x')).code, 2)
  })

  it('providers and trust rules are made from files', async () => {
    await writeFile(join(folder, 'corp.json'), '{"issuer":"https://id.test","client_secret":"s"}')
    answering(201, { key: 'corp' })
    const added = await run('provider', 'add', 'corp', '--kind', 'oidc', '--title', 'Corp', '--settings', 'corp.json')
    assert.deepEqual([added.code, added.out], [0, 'Made corp\n'])
    const settings = { issuer: 'https://id.test', client_secret: 's' }
    assert.deepEqual(JSON.parse(registry.seen.at(-1)?.body ?? ''), {
      key: 'corp',
      kind: 'oidc',
      title: 'Corp',
      settings,
    })
    answering(200, { works: false, reason: 'The identity provider id.test cannot be reached' })
    const tested = await run('provider', 'test', 'corp')
    assert.deepEqual(
      [tested.code === 0, tested.err],
      [false, 'cairn: The identity provider id.test cannot be reached\n'],
    )
    await run('provider', 'test', 'corp', '--user', 'ann')
    assert.deepEqual(JSON.parse(registry.seen.at(-1)?.body ?? ''), { username: 'ann' })
    answering(200, { accounts: 3, deactivated: ['ann', 'bob'], reactivated: [], kept: ['boss'] })
    const synced = await run('provider', 'sync', 'corp', '--force')
    assert.equal(synced.out, 'deactivated ann\ndeactivated bob\nkept boss\nCompared 3 accounts\n')
    const { path: where, body } = registry.seen.at(-1) ?? {}
    assert.deepEqual([where, body], ['/api/v1/identity-providers/corp/sync', '{"force":true}'])
    answering(201, { value: 'cairn_of_the_provider' })
    const token = await run('provider', 'token', 'corp', '--days', '30')
    assert.deepEqual([token.code, token.out], [0, 'cairn_of_the_provider\n'])
    const asked = registry.seen.at(-1)
    assert.deepEqual(
      [asked?.path, JSON.parse(asked?.body ?? '')],
      ['/api/v1/identity-providers/corp/tokens', { name: 'provisioning', expires_in_days: 30 }],
    )
    answering(204, {})
    assert.equal((await run('trust', 'set', 'release', '--rule', 'corp.json')).code, 0)
    const { method, path } = registry.seen.at(-1) ?? {}
    assert.deepEqual([method, path], ['PUT', '/api/v1/trust-rules/release'])
    await writeFile(join(folder, 'broken'), '{')
    assert.equal((await run('trust', 'set', 'release', '--rule', 'broken')).code, 2)
  })

  it('tokens are made as the registry has it, rotated, and listed with their last use', async () => {
    answering(201, { id: 'id-2', value: 'cairn_next' })
    const body = () => JSON.parse(registry.seen.at(-1)?.body ?? '')
    await run('token', 'create', 'ci', '--scope', 'read:npm-local/@acme/')
    assert.deepEqual(body(), { name: 'ci', scopes: ['read:npm-local/@acme/'] })
    await run('token', 'create', 'ci', '--for-ever')
    assert.deepEqual(body(), { name: 'ci', scopes: ['*'], expires_in_days: null })
    const rotated = await run('token', 'rotate', 'id-1', '--overlap', '60')
    assert.deepEqual([rotated.out, registry.seen.at(-1)?.path], ['cairn_next\n', '/api/v1/auth/tokens/id-1/rotate'])
    assert.deepEqual(body(), { overlap_minutes: 60 })
    answering(200, { items: [{ id: 'id-1', name: 'ci', scopes: ['*'], last_used_from: '192.0.2.1' }], next: null })
    assert.match((await run('token', 'list')).out, /id-1 +ci +\* +never +not yet +192\.0\.2\.1/)
  })

  it('groups, roles, projects and grants are made, changed, listed and removed', async () => {
    const sent = () => {
      const { method, path, body } = registry.seen.at(-1) ?? assert.fail()
      return [method, path, ...(body === '' ? [] : [JSON.parse(body)])]
    }
    const rows: [command: string, method: string, path: string, body?: object][] = [
      ['group create devs --description Makers', 'POST', '/api/v1/groups', { name: 'devs', description: 'Makers' }],
      ['group create devs --member ann --member bob', 'PUT', '/api/v1/groups/devs/members/bob'],
      ['group delete ops/1', 'DELETE', '/api/v1/groups/ops%2F1'],
      [
        'role create pusher --action read write',
        'POST',
        '/api/v1/roles',
        { name: 'pusher', actions: ['read', 'write'] },
      ],
      ['role delete pusher', 'DELETE', '/api/v1/roles/pusher'],
      ['project create shop --quota 1GiB', 'POST', '/api/v1/projects', { key: 'shop', quota_bytes: 1024 ** 3 }],
      ['project update shop --name Shop', 'PATCH', '/api/v1/projects/shop', { name: 'Shop' }],
      ['project update shop --no-quota', 'PATCH', '/api/v1/projects/shop', { quota_bytes: null }],
      ['project delete shop', 'DELETE', '/api/v1/projects/shop'],
      [
        'project token shop robot ci --scope read --days 7',
        'POST',
        '/api/v1/projects/shop/service-accounts/robot/tokens',
        { name: 'ci', scopes: ['read'], expires_in_days: 7 },
      ],
      [
        'grant create npm-* --group devs --role developer --path @acme/',
        'POST',
        '/api/v1/grants',
        { group: 'devs', repository: 'npm-*', path: '@acme/', role: 'developer', effect: 'allow' },
      ],
      [
        'grant create files --token id-1 --action write delete --deny',
        'POST',
        '/api/v1/grants',
        { token: 'id-1', repository: 'files', actions: ['write', 'delete'], effect: 'deny' },
      ],
      ['grant delete id-2', 'DELETE', '/api/v1/grants/id-2'],
      [
        'repo create npm-shop --format npm --project shop',
        'POST',
        '/api/v1/repositories',
        {
          key: 'npm-shop',
          format: 'npm',
          repo_type: 'local',
          project: 'shop',
        },
      ],
    ]
    answering(200, {})
    for (const [command, ...expected] of rows) {
      assert.equal((await run(...command.split(' '))).code, 0, command)
      assert.deepEqual(sent(), expected, command)
    }
    for (const wrong of [
      'role create pusher --action fly',
      'project create shop --quota lots',
      'project members shop --user ann',
      'project members shop --role reader',
      'grant create files --user ann --group devs --role reader',
      'grant create files --user ann --role reader --action read',
    ])
      assert.equal((await run(...wrong.split(' '))).code, 2, wrong)
  })

  it('groups, roles, projects and grants are shown as tables', async () => {
    const said = async (value: object, ...command: string[]) => {
      answering(200, value)
      return (await run(...command)).out
    }
    const items = (...all: object[]) => ({ items: all, next: null })
    assert.match(await said(items({ name: 'devs', members: 2, description: '' }), 'group', 'list'), /devs +2/)
    assert.equal(await said({ members: ['ann', 'bob'] }, 'group', 'members', 'devs', '--add', 'bob'), 'ann\nbob\n')
    assert.deepEqual(
      registry.seen.slice(-2).map(({ method, path }) => `${method} ${path}`),
      ['PUT /api/v1/groups/devs/members/bob', 'GET /api/v1/groups/devs'],
    )
    const role = { name: 'reader', actions: ['read'], is_built_in: true, description: 'Reads' }
    assert.match(await said(items(role), 'role', 'list'), /reader +read +built in +Reads/)
    const members = [
      { user: null, group: 'devs', role: 'developer' },
      { user: 'ann', group: null, role: 'admin' },
    ]
    const project = { key: 'shop', name: 'Shop', members, quota_bytes: 1024, repositories: ['a', 'b'] }
    assert.match(await said(items(project), 'project', 'list'), /shop +Shop +2 +1\.0 KiB +a b/)
    const listed = await said(project, 'project', 'members', 'shop', '--group', 'devs', '--role', 'developer')
    assert.match(listed, /group devs +developer\nuser ann +admin/)
    assert.deepEqual(
      registry.seen.slice(-2).map(({ method, path, body }) => `${method} ${path} ${body}`),
      ['PUT /api/v1/projects/shop/groups/devs {"role":"developer"}', 'GET /api/v1/projects/shop '],
    )
    await said(project, 'project', 'members', 'shop', '--user', 'ann', '--remove')
    assert.equal(registry.seen.at(-2)?.method, 'DELETE')
    const account = items({ username: 'robot', created_at: '2026-01-01T00:00:00Z' })
    assert.match(
      await said(account, 'project', 'accounts', 'shop', '--add', 'robot', '--role', 'reader'),
      /robot +2026/,
    )
    assert.deepEqual(JSON.parse(registry.seen.at(-2)?.body ?? ''), { username: 'robot', role: 'reader' })
    const grant = {
      id: 'id-1',
      effect: 'deny',
      user: null,
      group: 'devs',
      token: null,
      role: null,
      actions: ['write', 'delete'],
      repository: 'npm-*',
      path: '@acme/',
    }
    const grants = await said(items(grant), 'grant', 'list', '--group', 'devs', '--repository', 'npm-*')
    assert.match(grants, /id-1 +deny +group devs +write delete +npm-\* +@acme\//)
    assert.equal(registry.seen.at(-1)?.path, '/api/v1/grants?limit=1000&group=devs&repository=npm-*')
  })

  it('access explain says who may, and what somebody may, each with its reason', async () => {
    const sources = [{ reason: 'group devs is developer in project shop.' }]
    answering(200, { items: [{ username: 'ann', sources }], next: null })
    const who = await run('access', 'explain', '--repository', 'files', '--action', 'write', '--path', 'a/b')
    assert.equal(who.out, 'ann\n  group devs is developer in project shop.\n')
    assert.equal(registry.seen.at(-1)?.path, '/api/v1/repositories/files/access?limit=1000&path=a%2Fb&action=write')
    answering(200, { items: [{ repository: 'files', actions: ['read'], partly: ['write'], sources }], next: null })
    const what = await run('access', 'explain', '--user', 'ann')
    assert.equal(what.out, 'files: read; write on some paths\n  group devs is developer in project shop.\n')
    assert.equal(registry.seen.at(-1)?.path, '/api/v1/users/ann/access?limit=1000')
    assert.equal((await run('access', 'explain')).code, 2)
  })
})

it('completions know every command', () => {
  const terminal = {
    out: process.stdout,
    err: process.stderr,
    input: process.stdin,
    watched: false,
    interactive: false,
    environment: {},
    home: '/',
    folder: '/',
  }
  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    const script = completionScript(shell, program(terminal))
    for (const word of ['login', 'members', 'cache-bytes']) assert.ok(script.includes(word), `${shell} ${word}`)
  }
})
