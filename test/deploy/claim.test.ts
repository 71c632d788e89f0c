/** A part's directory: one process at a time, and only data that this program can use. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, it } from 'node:test'
import { claim, pidFileOf, runningOn } from '../../deploy/claim.js'
import { type ErrorKind, RegistryError } from '../../protocol/errors.js'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-claim-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const refused = (kind: ErrorKind, pattern: RegExp) => (error: unknown) =>
  error instanceof RegistryError && error.kind === kind && pattern.test(error.message)

/** A process whose command line looks like one of ours, or like something else. */
async function running(name: string): Promise<{ pid: number; end: () => Promise<void> }> {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume(); console.log("up")', name], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  await once(child.stdout, 'data')
  const end = async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  return { pid: child.pid ?? 0, end }
}

it('a claim writes the process id and what the data is, and takes back the first only', async () => {
  const data = join(dir, 'primary')
  const claimed = await claim(data, 'primary')
  assert.equal((await readFile(pidFileOf(data), 'utf8')).trim(), String(process.pid))
  await claimed.release()
  await assert.rejects(readFile(pidFileOf(data)))
  assert.equal(await readFile(join(data, 'version'), 'utf8'), 'cairn primary 1\n')
})

it('data that a part runs on cannot be claimed', async () => {
  const data = join(dir, 'primary')
  const other = await running('cairn.js')
  try {
    await writeFile(pidFileOf(data), `${other.pid}\n`)
    assert.equal(await runningOn(data), other.pid)
    await assert.rejects(claim(data, 'primary'), refused('unavailable', new RegExp(`process ${other.pid}`)))
  } finally {
    await other.end()
  }
  await (await claim(data, 'primary')).release()
})

it('a pid file whose number belongs to another program by now is stale', async () => {
  const data = join(dir, 'primary')
  const other = await running('something-else')
  try {
    await writeFile(pidFileOf(data), `${other.pid}\n`)
    assert.equal(await runningOn(data), undefined)
    await (await claim(data, 'primary')).release()
  } finally {
    await other.end()
  }
})

it('a damaged pid file is stale', async () => {
  const data = join(dir, 'primary')
  await writeFile(pidFileOf(data), 'no number')
  await (await claim(data, 'primary')).release()
})

const unusable: [string, string, string, RegExp][] = [
  ['of another version', 'version', 'cairn primary 2\n', /is of version 2, and this program knows version 1/],
  ['of another part', 'version', 'cairn node 1\n', /holds the data of a node, not of a primary/],
  ['whose version is damaged', 'version', 'xyz', /is damaged/],
  ['that is not Cairn’s', 'holiday.jpg', '', /something that Cairn has not made \(holiday\.jpg\)/],
]
for (const [what, name, content, pattern] of unusable)
  it(`data ${what} is refused, and stays unclaimed`, async () => {
    await writeFile(join(dir, name), content)
    await assert.rejects(claim(dir, 'primary'), refused('invalid', pattern))
    await assert.rejects(readFile(pidFileOf(dir)))
  })

it('a file in place of the directory is refused', async () => {
  const path = join(dir, 'file')
  await writeFile(path, '')
  await assert.rejects(claim(path, 'node'), refused('invalid', /is not a directory/))
})
