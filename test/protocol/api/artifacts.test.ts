import assert from 'node:assert/strict'
import { it } from 'node:test'
import { visibleFiles } from '../../../protocol/api/artifacts.js'
import type { Page } from '../../../protocol/ports.js'
import type { FileRecord } from '../../../protocol/records.js'

/** Ten folders of ten files, in byte order. */
const PATHS = Array.from({ length: 100 }, (_, i) => `f${Math.floor(i / 10)}/${i % 10}`)

it('a page of files looks only where some may be seen, and goes on where it stopped', async () => {
  for (const limit of [1, 3, 7, 10, 100]) {
    const { repository, asked } = files()
    const found: string[] = []
    let after: string | undefined
    do {
      const page = await visibleFiles(repository, { reach: ['f2/', 'f5/3', 'f9/'], limit, after }, () => true)
      found.push(...page.files.map(({ path }) => path))
      after = page.next ?? undefined
    } while (after !== undefined)
    assert.deepEqual(
      found,
      PATHS.filter((path) => /^f2|^f5.3|^f9/.test(path)),
      `pages of ${limit}`,
    )
    assert.ok(asked.every(({ prefix }) => ['f2/', 'f5/3', 'f9/'].includes(prefix ?? '')))
  }
})

it('a page of files is narrowed by the prefix that is asked for, and is empty where nothing may be seen', async () => {
  const paths = async (reach: string[], prefix: string) => {
    const { files: found } = await visibleFiles(files().repository, { reach, prefix, limit: 50 }, () => true)
    return found.map(({ path }) => path)
  }
  assert.deepEqual(await paths(['f2/', 'f5/'], 'f5/1'), ['f5/1'])
  assert.deepEqual(await paths(['f5/1'], 'f5'), ['f5/1'])
  assert.deepEqual(await paths(['f2/'], 'f5'), [])
  assert.deepEqual(await paths([], ''), [])
})

it('the work for a page of files is bounded where places hold nothing, and every page gets further', async () => {
  const reach = Array.from({ length: 30 }, (_, i) => `g${String(i).padStart(2, '0')}/`)
  const { repository, asked } = files()
  let after: string | undefined
  let pages = 0
  do {
    const before = asked.length
    const page = await visibleFiles(repository, { reach, limit: 5, after }, () => true, 10)
    assert.ok(asked.length - before <= 10)
    after = page.next ?? undefined
    pages++
  } while (after !== undefined && pages < 20)
  assert.ok(pages < 20)
})

function files() {
  const asked: Page[] = []
  const repository = {
    async files(page: Page): Promise<FileRecord[]> {
      asked.push(page)
      return PATHS.filter((path) => path.startsWith(page.prefix ?? '') && path > (page.after ?? ''))
        .slice(0, page.limit)
        .map((path) => ({ path }) as FileRecord)
    },
  }
  return { repository, asked }
}
