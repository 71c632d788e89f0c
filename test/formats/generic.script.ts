/** Files of any kind, as curl and its like speak: upload with digests and conditions, in parts, listing, removal, and all reads. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Place, Script, SendOptions } from './script.js'

const content = Buffer.from('Cairn keeps this file.\n'.repeat(400))
const large = Buffer.alloc(300_000, 'abcdefghij')

export const genericScript: Script = {
  format: 'generic',
  upstream: '/',
  writes: [
    {
      name: 'a file is stored, with its digests in the reply',
      run: async (place) => {
        const reply = await put(place, '/matrix/file.txt', content)
        assert.equal(reply.status, 201)
        assert.equal(reply.headers.get('x-checksum-sha256'), hash('sha256', content))
        assert.equal(reply.headers.get('location'), `${place.writeTo}/matrix/file.txt`)
      },
    },
    {
      name: 'the same bytes again are fine',
      run: async (place) => assert.equal((await put(place, '/matrix/file.txt', content)).status, 200),
    },
    {
      name: 'other bytes are refused',
      run: async (place) => {
        for (const other of [Buffer.from('other'), Buffer.alloc(content.length, 'x')])
          assert.equal((await put(place, '/matrix/file.txt', other)).status, 409)
      },
    },
    {
      name: 'an empty file, a name with spaces and one in Greek',
      run: async (place) => {
        for (const [path, body] of [
          ['/matrix/empty', ''],
          ['/matrix/a%20b.txt', 'spaces'],
          ['/matrix/%CE%B1%CF%81%CF%87%CE%B5%CE%AF%CE%BF', 'greek'],
        ] as const)
          assert.equal((await put(place, path, Buffer.from(body))).status, 201, path)
      },
    },
    {
      name: 'right digests are accepted, in every header that there is',
      run: async (place) => {
        const headers = {
          'x-checksum-sha256': hash('sha256', content),
          'x-checksum-sha1': hash('sha1', content),
          'x-checksum-md5': hash('md5', content),
          'content-md5': hash('md5', content, 'base64'),
          'repr-digest': `sha-512=:${hash('sha512', content, 'base64')}:, unknown=:AAAA:`,
          'content-digest': `sha-256=:${hash('sha256', content, 'base64')}:`,
        }
        const reply = await put(place, '/matrix/sums/digested.txt', content, headers)
        assert.equal(reply.status, 201)
        assert.equal(reply.headers.get('x-checksum-sha1'), hash('sha1', content))
      },
    },
    {
      name: 'a wrong digest stores nothing',
      run: async (place) => {
        for (const [name, value] of [
          ['x-checksum-sha256', hash('sha256', large)],
          ['x-checksum-sha1', hash('sha1', large)],
          ['content-md5', hash('md5', large, 'base64')],
          ['repr-digest', `sha-256=:${hash('sha256', large, 'base64')}:`],
          ['content-digest', `sha-512=:${hash('sha512', large, 'base64')}:`],
          ['x-checksum-sha256', 'nonsense'],
        ] as const)
          assert.equal((await put(place, '/matrix/wrong.txt', content, { [name]: value })).status, 400, name)
        assert.equal((await read(place, '/matrix/wrong.txt', {}, 'writeTo')).status, 404)
      },
    },
    {
      name: 'conditions on a write are kept',
      run: async (place) => {
        assert.equal((await put(place, '/matrix/file.txt', content, { 'if-none-match': '*' })).status, 412)
        assert.equal((await put(place, '/matrix/new.txt', content, { 'if-match': '"x"' })).status, 412)
        assert.equal((await put(place, '/matrix/once.txt', content, { 'if-none-match': '*' })).status, 201)
      },
    },
    {
      name: 'a checksum alone deploys what is there, and nothing else',
      run: async (place) => {
        const ask = (path: string) =>
          put(place, path, Buffer.alloc(0), {
            'x-checksum-deploy': 'true',
            'x-checksum-sha256': hash('sha256', content),
          })
        assert.equal((await ask('/matrix/file.txt')).status, 201)
        assert.equal((await ask('/matrix/elsewhere.txt')).status, 404)
      },
    },
    {
      name: 'a file arrives in parts, and the registry says how far it got',
      run: async (place) => {
        const path = '/matrix/large.bin'
        const part = (first: number, last: number) =>
          put(place, path, large.subarray(first, last + 1), {
            'content-range': `bytes ${first}-${last}/${large.length}`,
          })
        const asked = () => put(place, path, Buffer.alloc(0), { 'content-range': `bytes */${large.length}` })
        assert.equal((await asked()).headers.get('upload-offset'), '0')
        const first = await part(0, 99_999)
        assert.equal(first.status, 202)
        assert.equal(first.headers.get('range'), 'bytes=0-99999')
        const skipping = await part(200_000, 299_999)
        assert.equal(skipping.status, 416)
        assert.equal(skipping.headers.get('upload-offset'), '100000')
        assert.equal((await asked()).headers.get('upload-offset'), '100000')
        const status = await place.send(`${place.writeTo}/-/uploads${path}?total=${large.length}`, {
          headers: { authorization: place.authorization },
        })
        assert.equal(status.status, 204)
        assert.equal(status.headers.get('upload-offset'), '100000')
        const last = await part(100_000, 299_999)
        assert.equal(last.status, 201)
        assert.equal(last.headers.get('x-checksum-sha256'), hash('sha256', large))
      },
    },
    {
      name: 'a removed file is gone, and its path stays taken',
      run: async (place) => {
        assert.equal((await put(place, '/matrix/gone.txt', content)).status, 201)
        assert.equal((await write(place, '/matrix/gone.txt', { method: 'DELETE' })).status, 204)
        assert.equal((await read(place, '/matrix/gone.txt', {}, 'writeTo')).status, 404)
        assert.equal((await write(place, '/matrix/gone.txt', { method: 'DELETE' })).status, 404)
        assert.equal((await put(place, '/matrix/gone.txt', Buffer.from('other'))).status, 409)
      },
    },
    {
      name: 'names that some client cannot hold are refused',
      run: async (place) => {
        const names = [
          'a/../../b',
          'C:/x',
          'C:%5Cx',
          '%5C%5Chost%5Cx',
          'a//b',
          'a/./b',
          'a.',
          'a%20',
          '%20a',
          'CON',
          'aux.txt',
          'folder/',
          'e%CC%81',
          'a%E2%80%AEb',
          'a%0Db',
          '%2F%2Fabs',
          `${'x'.repeat(250)}/${'y'.repeat(250)}/${'z'.repeat(250)}/${'w'.repeat(250)}/${'v'.repeat(250)}`,
          '-/x',
        ]
        // A client's own URL parser resolves some of these before they are sent: then they are other, harmless names.
        for (const name of names) {
          const url = `${place.writeTo}/${name}`
          if (new URL(url).href !== url) continue
          assert.equal(
            (await place.send(url, { method: 'PUT', body: 'x', headers: { authorization: place.authorization } }))
              .status,
            400,
            name,
          )
        }
      },
    },
    {
      name: 'nobody writes or removes without credentials',
      run: async (place) => {
        assert.equal(
          (await place.send(`${place.writeTo}/matrix/anonymous.txt`, { method: 'PUT', body: 'x' })).status,
          401,
        )
        assert.equal((await place.send(`${place.writeTo}/matrix/file.txt`, { method: 'DELETE' })).status, 401)
      },
    },
  ],
  reads: [
    {
      name: 'a file is read whole, in part, and conditionally',
      run: async (place) => {
        const reply = await read(place, '/matrix/file.txt')
        assert.equal(reply.status, 200)
        assert.ok(Buffer.from(await reply.arrayBuffer()).equals(content))
        assert.match(reply.headers.get('content-type') ?? '', /^text\/plain/)
        assert.match(reply.headers.get('cache-control') ?? '', /immutable/)
        assert.equal(reply.headers.get('etag'), `"${hash('sha256', content)}"`)
        assert.equal(reply.headers.get('repr-digest'), `sha-256=:${hash('sha256', content, 'base64')}:`)
        const part = await read(place, '/matrix/file.txt', { range: 'bytes=-5' })
        assert.equal(part.status, 206)
        assert.equal(await part.text(), 'ile.\n')
        assert.equal(
          (await read(place, '/matrix/file.txt', { 'if-none-match': `"${hash('sha256', content)}"` })).status,
          304,
        )
        assert.equal((await read(place, '/matrix/file.txt', { range: 'bytes=99999-' })).status, 416)
        const head = await place.send(`${place.readFrom}/matrix/file.txt`, {
          method: 'HEAD',
          headers: { authorization: place.authorization },
        })
        assert.equal(head.status, 200)
        assert.equal(await head.text(), '')
      },
    },
    {
      name: 'odd names and empty files are read as they were written',
      run: async (place) => {
        assert.equal(await (await read(place, '/matrix/empty')).text(), '')
        assert.equal(await (await read(place, '/matrix/a%20b.txt')).text(), 'spaces')
        assert.equal(await (await read(place, '/matrix/%CE%B1%CF%81%CF%87%CE%B5%CE%AF%CE%BF')).text(), 'greek')
        assert.ok(Buffer.from(await (await read(place, '/matrix/large.bin')).arrayBuffer()).equals(large))
      },
    },
    {
      name: 'digests are files beside the file',
      run: async (place) => {
        for (const algorithm of ['sha256', 'sha512', 'sha1', 'md5']) {
          const reply = await read(place, `/matrix/file.txt.${algorithm}`)
          assert.equal(await reply.text(), `${hash(algorithm, content)}  file.txt\n`, algorithm)
        }
      },
    },
    {
      name: 'a folder is listed as JSON, in pages and recursively',
      hosted: true,
      run: async (place) => {
        const { folders, files } = await listed(place, '/matrix/?format=json')
        assert.deepEqual(folders, ['sums/'])
        assert.deepEqual(files.sort(), ['a b.txt', 'empty', 'file.txt', 'large.bin', 'once.txt', 'αρχείο'])
        assert.deepEqual((await listed(place, '/')).folders, ['matrix/'])
        assert.ok((await listed(place, '/matrix/?recursive')).files.includes('sums/digested.txt'))
        const names: string[] = []
        let after = ''
        for (let next: string | null = ''; next !== null; after = `&after=${encodeURIComponent(next ?? '')}`) {
          const page: Awaited<ReturnType<typeof listed>> = await listed(place, `/matrix/?limit=2${after}`)
          assert.ok(page.folders.length + page.files.length <= 2)
          names.push(...page.folders, ...page.files)
          next = page.next
        }
        assert.deepEqual(names.sort(), ['a b.txt', 'empty', 'file.txt', 'large.bin', 'once.txt', 'sums/', 'αρχείο'])
      },
    },
    {
      name: 'a folder is listed as a page, and found without its slash',
      hosted: true,
      run: async (place) => {
        const reply = await read(place, '/matrix/', { accept: 'text/html' })
        assert.match(reply.headers.get('content-type') ?? '', /^text\/html/)
        assert.match(await reply.text(), /<a href="\.\/a%20b\.txt">a b\.txt<\/a>/)
        const moved = await place.send(`${place.readFrom}/matrix`, {
          redirect: 'manual',
          headers: { authorization: place.authorization },
        })
        assert.equal(moved.status, 302)
        assert.equal(moved.headers.get('location'), `${place.readFrom}/matrix/`)
      },
    },
    {
      name: 'what is not there is 404',
      hosted: true,
      run: async (place) => {
        for (const path of ['/matrix/nothing', '/matrix/nothing.sha1', '/nothing/', '/matrix/gone.txt'])
          assert.equal((await read(place, path)).status, 404, path)
      },
    },
  ],
  refusals: [
    {
      name: 'a file is refused for now',
      run: async (place) => {
        const reply = await put(place, '/matrix/later.txt', content)
        assert.equal(reply.status, 503)
        assert.ok(reply.headers.get('retry-after'))
        assert.equal((await read(place, '/matrix/later.txt')).status, 404)
      },
    },
  ],
}

function put(place: Place, path: string, body: Buffer, headers: Record<string, string> = {}): Promise<Response> {
  return write(place, path, { method: 'PUT', body, headers })
}

function write(place: Place, path: string, init: SendOptions): Promise<Response> {
  return place.send(place.writeTo + path, { ...init, headers: { authorization: place.authorization, ...init.headers } })
}

function read(
  place: Place,
  path: string,
  headers: Record<string, string> = {},
  from: 'readFrom' | 'writeTo' = 'readFrom',
): Promise<Response> {
  return place.send(place[from] + path, { headers: { authorization: place.authorization, ...headers } })
}

async function listed(
  place: Place,
  path: string,
): Promise<{ folders: string[]; files: string[]; next: string | null }> {
  const reply = await read(place, path, { accept: 'application/json' })
  assert.equal(reply.status, 200, path)
  const { folders, files, next } = (await reply.json()) as {
    folders: string[]
    files: { name: string }[]
    next: string | null
  }
  return { folders, files: files.map(({ name }) => name), next }
}

function hash(algorithm: string, bytes: Buffer, encoding: 'hex' | 'base64' = 'hex'): string {
  return createHash(algorithm).update(bytes).digest(encoding)
}
