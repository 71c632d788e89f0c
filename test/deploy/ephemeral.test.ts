/** Build machines as nodes: real processes, the real command line. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type ProcessFleet, processFleet } from '../support/processes.js'

const PROGRAM = fileURLToPath(new URL('../../deploy/cairn.js', import.meta.url))

describe('a command that runs beside an ephemeral node', () => {
  let fleet: ProcessFleet
  let home: string
  let key: { id: string; join_token: string }

  before(async () => {
    fleet = await processFleet()
    home = await mkdtemp(join(tmpdir(), 'cairn-home-'))
    await mkdir(join(home, 'tmp'))
    await fleet.api('POST', '/api/v1/repositories', { key: 'files', format: 'generic', is_public: true })
    await fleet.api('POST', '/api/v1/repositories', { key: 'js', format: 'npm', is_public: true })
    const body = new TextEncoder().encode('hello')
    const headers = { authorization: fleet.admin }
    await fetch(`${fleet.primary.url}/repository/files/a.txt`, { method: 'PUT', headers, body })
    const draft = { name: 'ci', ephemeral: { uses: 3 } }
    key = (await fleet.api('POST', '/api/v1/edge-nodes', draft)) as typeof key
  })
  after(async () => {
    await fleet.close()
    await rm(home, { recursive: true, force: true })
  })

  const run = (script: string, ...flags: string[]) =>
    new Promise<{ code: number; out: string; err: string }>((resolve) => {
      const env = { PATH: process.env.PATH, HOME: home, TMPDIR: join(home, 'tmp'), CAIRN_JOIN: key.join_token }
      const args = [PROGRAM, 'run', ...flags, '--', process.execPath, '--input-type=module', '-e', script]
      execFile(process.execPath, args, { env, cwd: home }, (error, out, err) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err })
      })
    })

  it('reads what the fleet has through it, and its clients are pointed at it', async () => {
    const read = `
      const reply = await fetch(process.env.CAIRN_URL + '/repository/files/a.txt')
      console.log(await reply.text(), process.env.npm_config_registry === process.env.CAIRN_URL + '/repository/js/')`
    assert.deepEqual(await run(read), { code: 0, out: 'hello true\n', err: '' })
  })

  it('its exit code is the command’s, and no trace is left: no file, no record', async () => {
    const before = await position()
    assert.equal((await run('process.exit(7)')).code, 7)
    assert.equal(await position(), before)
    assert.deepEqual(await readdir(join(home, 'tmp')), [])
  })

  it('a repository that is not there is said, and nothing runs', async () => {
    const { code, out, err } = await run('console.log("ran")', '--repository', 'nowhere')
    assert.deepEqual([code === 0, out, err], [false, '', 'cairn: There is no repository nowhere that you may see\n'])
  })

  it('a key that was used up says what to do', async () => {
    const { code, out, err } = await run('console.log("ran")')
    assert.deepEqual([code === 0, out], [false, ''])
    assert.match(err, /^cairn: The join token is unknown, was used, or has expired; make a new one\n$/)
  })

  async function position(): Promise<unknown> {
    return ((await (await fetch(`${fleet.primary.url}/health`)).json()) as { number: number }).number
  }
})
