import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { html } from '../../admin/html.js'
import { document } from '../../admin/layout.js'
import { live, page } from '../../admin/page.js'
import { openSite } from '../../admin/site.js'
import type { NodeCard, View } from '../../admin/view.js'
import { bytes, duration } from '../../admin/words.js'
import { Gate } from '../../protocol/access/gate.js'
import { RegistryError } from '../../protocol/errors.js'
import type { Format } from '../../protocol/format.js'
import { MemoryLedger } from '../../protocol/metadata/memory.js'
import { FLEET } from '../../protocol/records.js'
import { repositoryRecord } from '../contracts/metadata.js'
import { bodyOf, requestOf } from '../support/request.js'

const EVIL = `"><script>alert(1)</script><img src=x onerror='alert(2)'>&\``
const ASSETS = { style: '/admin/style.css?v=1', scripts: ['/admin/htmx.js?v=1'], icon: '/admin/icon.svg?v=1' }

describe('html', () => {
  it('escapes what is put in, however deep, and nothing twice', () => {
    const inner = html`<b>${EVIL}</b>`
    const text = html`<p title="${EVIL}">${[inner, EVIL, 3, undefined, false]}</p>`.text
    assert.ok(!text.includes('<script') && !text.includes('<img'))
    assert.ok(text.startsWith('<p title="&#34;&#62;&#60;script'))
    assert.ok(text.includes('<b>&#34;'))
    assert.equal(html`${html`<i>&amp;</i>`}`.text, '<i>&amp;</i>')
  })
})

describe('the page', () => {
  it('holds nothing that somebody else wrote as markup', () => {
    const text = whole(EVIL)
    assert.ok(!/<script(?! src="\/admin\/htmx\.js)/.test(text))
    assert.ok(!/<img/.test(text) && !text.includes(EVIL))
  })

  it('needs no inline script, style or handler', () => {
    const text = whole('x')
    assert.ok(!/\sstyle=|\son\w+=|<style|javascript:/i.test(text))
    assert.equal(text.match(/<script/g)?.length, 1)
  })

  it('links to nodes by web addresses only', () => {
    const text = live(view('x', 'javascript:alert(1)')).text
    assert.ok(!text.includes('javascript:'))
    assert.ok(
      live(view('x', 'http://192.0.2.1:8081')).text.includes(
        '<a href="http://192.0.2.1:8081" rel="noopener noreferrer">',
      ),
    )
  })

  it('shows nodes with their state, lag and cache, and the repositories with their snippets', () => {
    const text = whole('lib')
    for (const part of [
      'offline',
      '7 changes',
      '1.0 KiB of 2.0 KiB',
      '2 min ago',
      'lib',
      'use lib',
      'private',
      '1 of 2 online',
    ])
      assert.ok(text.includes(part), part)
  })

  it('says so where there is nothing, or nothing for this viewer', () => {
    const empty: View = { ...view('x'), nodes: [], repositories: [] }
    assert.match(live(empty).text, /No node has joined/)
    assert.match(live(empty).text, /No repository is public/)
    assert.match(live({ ...empty, nodes: undefined }).text, /signed in/)
  })
})

describe('the site', () => {
  it('answers its own paths with a strict policy, and no others', async () => {
    const { site, nobody } = await world()
    const reply = await site(requestOf('GET', '/'), nobody)
    assert.match(reply?.headers['content-security-policy'] ?? '', /default-src 'none'.*frame-ancestors 'none'/)
    assert.ok(!reply?.headers['content-security-policy']?.includes('unsafe'))
    assert.equal(reply?.headers['cache-control'], 'no-store')
    for (const [method, path] of [
      ['POST', '/'],
      ['GET', '/admin'],
      ['GET', '/admin/'],
      ['GET', '/x'],
    ] as const)
      assert.equal(site(requestOf(method, path), nobody), undefined, path)
  })

  it('has browsers stay with https where this process speaks it', async () => {
    const sent = async (secure: boolean) => {
      const { site, nobody } = await world(secure)
      return (await site(requestOf('GET', '/admin/login'), nobody))?.headers['strict-transport-security']
    }
    assert.deepEqual([await sent(true), await sent(false)], ['max-age=31536000', undefined])
  })

  it('shows each viewer what that one may see', async () => {
    const { site, nobody, root } = await world()
    const anonymous = (await bodyOf((await site(requestOf('GET', '/'), nobody)) ?? assert.fail())).toString()
    assert.ok(anonymous.includes('/repository/open') && !anonymous.includes('closed'))
    const part = (await bodyOf((await site(requestOf('GET', '/admin/live'), root)) ?? assert.fail())).toString()
    assert.ok(part.includes('/repository/closed') && !part.includes('<html'))
  })

  it('offers the other ways to log in, and keeps where one was going', async () => {
    const { site, nobody } = await world()
    const reply = (await site(requestOf('GET', '/admin/login?next=/admin/account'), nobody)) ?? assert.fail()
    const text = (await bodyOf(reply)).toString()
    assert.ok(text.includes('href="/admin/login/sso?next=%2Fadmin%2Faccount">Log in with Example &#60;SSO&#62;'))
    assert.ok(text.includes('name="next" value="/admin/account"'))
  })

  it('says what was wrong on the page, without the challenge at which browsers ask by themselves', async () => {
    const { site, nobody } = await world()
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const body = 'username=%3Cb%3E&password=secret-of-mine'
    const reply = (await site(requestOf('POST', '/admin/login', { headers, body }), nobody)) ?? assert.fail()
    const text = (await bodyOf(reply)).toString()
    assert.equal(reply.status, 403)
    assert.equal(reply.headers['www-authenticate'], undefined)
    assert.ok(text.includes('User name or password is wrong') && text.includes('value="&#60;b&#62;"'))
    assert.ok(!text.includes('secret-of-mine'))
  })

  it('serves the scripts and the style that the page names, to be kept for good under that name only', async () => {
    const { site, nobody } = await world()
    const text = (await bodyOf((await site(requestOf('GET', '/'), nobody)) ?? assert.fail())).toString()
    const addresses = [...text.matchAll(/(?:src|href)="(\/admin\/[^"]+\?v=[^"]+)"/g)].map((match) => match[1] ?? '')
    assert.equal(addresses.length, 4)
    for (const address of addresses) {
      const reply = (await site(requestOf('GET', address), nobody)) ?? assert.fail()
      assert.match(reply.headers['cache-control'] ?? '', /immutable/)
      assert.ok((await bodyOf(reply)).length > 100)
      const other = (await site(requestOf('GET', address.split('?')[0] ?? ''), nobody)) ?? assert.fail()
      assert.equal(other.headers['cache-control'], 'no-cache')
    }
  })
})

describe('figures', () => {
  it('read as people read them', () => {
    assert.deepEqual([0, 1023, 1024, 1536, 10 * 2 ** 30, 150 * 2 ** 20].map(bytes), [
      '0 B',
      '1023 B',
      '1.0 KiB',
      '1.5 KiB',
      '10.0 GiB',
      '150 MiB',
    ])
    assert.deepEqual([0, 59_999, 60_000, 7_200_000, 3 * 86_400_000, -5].map(duration), [
      '0 s',
      '59 s',
      '1 min',
      '2 h',
      '3 days',
      '0 s',
    ])
  })
})

function whole(text: string): string {
  const principal = { name: text, user: undefined, token: undefined }
  const visitor = { principal, session: { id: text, csrf: text } }
  return document(
    {
      assets: ASSETS,
      title: text,
      subtitle: text,
      visitor,
      administrator: true,
      links: [{ text, path: text }],
      path: text,
    },
    page(view(text)),
  )
}

function view(text: string, url?: string): View {
  const node: NodeCard = {
    name: text,
    state: 'offline',
    url,
    version: text,
    lag: 7,
    heardAgo: 125_000,
    cache: { used: 1024, limit: 2048 },
  }
  return {
    version: text,
    fleet: text,
    origin: text,
    changes: 12,
    uptimeMs: 5000,
    anonymous: true,
    nodes: [node, { ...node, state: 'online', lag: 0 }],
    repositories: [
      {
        key: text,
        format: text,
        type: 'local',
        public: false,
        description: text,
        url: text,
        snippet: `use ${text}`,
        usedBytes: 5,
        quotaBytes: 10,
      },
    ],
    moreRepositories: 0,
  }
}

async function world(secure = false) {
  const ledger = await MemoryLedger.open()
  for (const key of ['open', 'closed'])
    await ledger.commit({
      scope: FLEET,
      steps: [{ kind: 'repository', key, record: repositoryRecord(key, { public: key === 'open' }) }],
      by: 'test',
    })
  const user = { id: 'root', name: 'root', email: '', admin: true, disabled: false, groups: [], createdAt: '' }
  await ledger.commit({
    scope: FLEET,
    steps: [{ kind: 'access', subject: 'user', id: 'root', record: user }],
    by: 'test',
  })
  const gate = new Gate(ledger.state, { verify: async (_, password) => password === 'right' })
  const refuse = () => Promise.reject(new RegistryError('unauthenticated', 'User name or password is wrong'))
  const format: Format = { name: 'generic', routes: [], hashes: [], snippet: ({ base }) => `use ${base}` }
  const site = await openSite({
    metadata: ledger.state,
    gate,
    formats: [format],
    nodes: async () => [],
    usage: async () => 0,
    version: '0.1.0',
    fleet: 'f',
    startedAtMs: 0,
    nowMs: () => 5000,
    open: true,
    secure,
    rest: () => undefined,
    console: {
      providers: () => [{ key: 'sso', name: 'Example <SSO>' }],
      way: () => undefined,
      enter: refuse,
      second: refuse,
      hasSecondFactor: async () => false,
      beginSecondFactor: refuse,
      confirmSecondFactor: refuse,
      removeSecondFactor: refuse,
      passkeys: async () => [],
      passkeyOptions: refuse,
      addPasskey: refuse,
      removePasskey: refuse,
      enterByPasskey: refuse,
      leave: refuse,
      demandOwn: () => undefined,
      demandFresh: refuse,
      sessions: async () => [],
      end: refuse,
    },
  })
  const session = { id: 's', csrf: 'c' }
  return {
    site,
    nobody: { principal: gate.anonymous, session: undefined },
    root: { principal: { name: 'root', user, token: undefined }, session },
  }
}
