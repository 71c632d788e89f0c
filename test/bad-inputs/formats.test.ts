/** Groups I, J and K of the bad inputs for the formats beside npm, then H11 and J10: at a primary and a node that are processes. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { sha256 } from '../support/book.js'
import { crateOf, publishBody } from '../support/crate.js'
import { until } from '../support/fleet.js'
import { moduleUrl, moduleZip } from '../support/go-module.js'
import { uploadForm, wheel } from '../support/python-package.js'
import { cargoRows, publishing } from './cargo.rows.js'
import { goRows } from './go.rows.js'
import { mavenRows } from './maven.rows.js'
import { ociRows } from './oci.rows.js'
import { posting, pypiRows } from './pypi.rows.js'
import type { Row, Sent, Table } from './rows.js'
import { type Watched, watched } from './watched.js'

const TABLES = [cargoRows, pypiRows, goRows, mavenRows, ociRows]

const QUERIES = [
  '/repository/bad-cargo/api/v1/crates?q=*',
  '/repository/bad-cargo/ra/ce/*',
  '/repository/bad-pypi/simple/*/',
  '/repository/bad-pypi/pypi/*/json',
  '/repository/bad-maven/org/*/maven-metadata.xml',
  '/repository/bad-go/example.com/*/@v/list',
  '/v2/_catalog?last=*',
  '/v2/bad-oci/any/tags/list?last=*',
]

interface Race {
  format: string
  send(name: string, content: string): { sent: Sent; file: Buffer }
  /** Holds the file's SHA-256, or is the file. */
  page(name: string): string
}

const RACES: Race[] = [
  {
    format: 'cargo',
    send: (name, content) => {
      const file = crateOf({ name, vers: '1.0.0' }, [{ name: `${name}-1.0.0/x`, content }])
      return { sent: publishing(publishBody({ name, vers: '1.0.0' }, file)), file }
    },
    page: (name) => `/repository/bad-cargo/ra/ce/${name}`,
  },
  {
    format: 'pypi',
    send: (name, summary) => {
      const made = wheel({ name, version: '1.0', summary })
      return { sent: posting(uploadForm(made)), file: made.bytes }
    },
    page: (name) => `/repository/bad-pypi/simple/${name}/`,
  },
  {
    format: 'go',
    send: (name, content) => {
      const file = moduleZip({ module: `example.com/${name}`, version: 'v1.0.0', files: { x: content } })
      return { sent: { method: 'PUT', path: zipOf(name), body: file }, file }
    },
    page: zipOf,
  },
  {
    format: 'maven',
    send: (name, content) => ({
      sent: { method: 'PUT', path: jarOf(name), body: content },
      file: Buffer.from(content),
    }),
    page: jarOf,
  },
]

describe('bad inputs of every format', { timeout: 600_000 }, () => {
  let at: Watched
  const send = (url: string, { path, body, ...rest }: Sent): Promise<Response> =>
    fetch(url + path, { ...rest, body, headers: { authorization: at.fleet.admin, ...rest.headers } } as RequestInit)

  before(async () => {
    at = await watched()
    for (const { format, before: needed = [] } of TABLES) {
      const key = `bad-${format}`
      await at.fleet.api('POST', '/api/v1/repositories', {
        key,
        name: key,
        format,
        repo_type: 'local',
        is_public: true,
      })
      for (const each of needed) {
        const reply = await send(at.primary, each)
        assert.equal(reply.status, 201, await reply.text())
      }
    }
    // Every row once before, through the node: buffers and compiled code come once, what is looked for is growth.
    for (const { rows } of TABLES)
      for (const row of rows)
        await send(at.node, row.send('warm')).then(
          (reply) => reply.arrayBuffer(),
          () => undefined,
        )
    await at.begin()
  })
  after(() => at.close())

  for (const table of TABLES)
    describe(table.format, () => {
      // A node passes on what is published as it comes, so one of the two is asked.
      for (const [index, row] of table.rows.entries()) refused(table, index % 2 === 0 ? 'primary' : 'node', row)
    })

  it('after all that nothing is recorded, and both processes are as they were', () => at.end([at.fleet.admin.slice(7)]))

  for (const { format, send: publish, page } of RACES)
    it(`H11 ${format}: of many who publish one version at once exactly one wins, and everywhere has its bytes`, async () => {
      for (const name of ['race1', 'race2']) {
        const drafts = Array.from({ length: 10 }, (_, i) => publish(name, `draft ${i}`))
        const replies = await Promise.all(drafts.map(({ sent }, i) => send(i % 2 === 0 ? at.primary : at.node, sent)))
        const statuses = replies.map(({ status }) => status)
        const winners = drafts.filter((_, i) => replies[i]?.ok)
        assert.equal(winners.length, 1, statuses.join())
        assert.ok(
          replies.every(({ ok, status }) => ok || status === 409),
          statuses.join(),
        )
        const won = sha256(winners[0]?.file ?? Buffer.alloc(0))
        for (const url of [at.primary, at.node])
          await until(async () => {
            const bytes = Buffer.from(await (await fetch(url + page(name))).arrayBuffer())
            return bytes.includes(won) || sha256(bytes) === won
          })
      }
    })

  it('J10 whatever is asked for is taken as it stands', async () => {
    const asked = ["'; DROP TABLE x;--", '%', '_', '\\', '\0', '(r+)+$', 'race%', '['.repeat(100)]
    for (const url of [at.primary, at.node])
      for (const text of asked)
        for (const path of QUERIES) {
          const reply = await fetch(url + path.replace('*', encodeURIComponent(text)))
          assert.ok([200, 400, 401, 404].includes(reply.status), `${reply.status} ${path} ${text}`)
          assert.doesNotMatch(await reply.text(), /race\d/, `${path} ${text}`)
        }
  })

  function refused(
    { format, sentence }: Table,
    side: 'primary' | 'node',
    { what, send: made, statuses = [400, 413] }: Row,
  ): void {
    it(`${side}: ${what}`, async () => {
      const name = `bad-${sha256(Buffer.from(format + what)).slice(0, 12)}`
      const sent = made(name)
      // Making it may have taken so long that the other side has closed the connection meanwhile.
      await setImmediate()
      const reply = await send(at[side], sent)
      const body = await reply.text()
      assert.ok(statuses.includes(reply.status), `${reply.status} ${body}`)
      const said = reply.status === 404 && !body.startsWith('{') ? body : sentence(body)
      assert.ok(typeof said === 'string' && said.length > 10, body)
    })
  }
})

function zipOf(name: string): string {
  return `/repository/bad-go${moduleUrl(`example.com/${name}`, 'v1.0.0.zip')}`
}

function jarOf(name: string): string {
  return `/repository/bad-maven/org/any/${name}/1.0/${name}-1.0.jar`
}
