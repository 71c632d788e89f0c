import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { preferred } from '../../../formats/text/accept.js'
import { parseDisposition } from '../../../formats/text/disposition.js'
import { readForm } from '../../../formats/text/form.js'
import { boundaryOf, readParts } from '../../../formats/text/multipart.js'

const LIMITS = { parts: 10, header: 1000, fields: 1000 }

/** In pieces of one size, in a buffer that is overwritten as a server's is. */
async function* pieces(text: string | Buffer, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  const bytes = Buffer.from(text)
  const buffer = Buffer.alloc(size)
  for (let at = 0; at < bytes.length; at += size) {
    yield buffer.subarray(0, bytes.copy(buffer, 0, at, at + size))
    buffer.fill(0xff)
  }
}

async function read(text: string | Buffer, size: number): Promise<[string, string | undefined, string][]> {
  const found: [string, string | undefined, string][] = []
  for await (const { name, filename, body } of readParts(pieces(text, size), 'b', LIMITS)) {
    const chunks: Buffer[] = []
    for await (const chunk of body) chunks.push(Buffer.from(chunk))
    found.push([name, filename, Buffer.concat(chunks).toString('latin1')])
  }
  return found
}

const part = (disposition: string, content: string) =>
  `--b\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${content}\r\n`

describe('a form', () => {
  const whole = `${part('name="a"', 'one')}${part('name="file"; filename="x.bin"', '\r\n--\r\n--c\r\n-\r')}${part('name=a', '')}--b--\r\n`
  for (const size of [1, 2, 3, 5, 7, 64, 1000])
    it(`has the same parts in pieces of ${size}`, async () => {
      assert.deepEqual(await read(whole, size), [
        ['a', undefined, 'one'],
        ['file', 'x.bin', '\r\n--\r\n--c\r\n-\r'],
        ['a', undefined, ''],
      ])
    })

  it('may have a preamble, an epilogue and blanks behind its boundaries', async () => {
    const text = `hello\r\n${part('name=a', '1').replace('--b\r\n', '--b \t\r\n')}--b--\r\nbye`
    assert.deepEqual(await read(text, 4), [['a', undefined, '1']])
  })

  it('that nobody reads is skipped part by part', async () => {
    const names: string[] = []
    for await (const { name } of readParts(pieces(whole, 3), 'b', LIMITS)) names.push(name)
    assert.deepEqual(names, ['a', 'file', 'a'])
  })

  const broken: [string, string, RegExp][] = [
    ['ends inside a part', '--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx', /ends inside a part/],
    ['ends inside a header', '--b\r\nContent-Disposition: form', /ends inside a header/],
    ['ends inside a boundary', `${part('name=a', 'x')}--b`, /ends inside a boundary/],
    ['is empty', '', /ends inside a part/],
    ['has no boundary', 'x'.repeat(70_000), /does not begin with its boundary/],
    [
      'has its boundary inside a part',
      `--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--bx\r\n`,
      /inside a part/,
    ],
    ['has a part without a name', '--b\r\n\r\nx\r\n--b--', /without a name/],
    [
      'has a part of another kind',
      '--b\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--b--',
      /without a name/,
    ],
    ['has a header that is too long', `--b\r\nX: ${'x'.repeat(2000)}\r\n\r\nx\r\n--b--`, /too long/],
    ['has too many parts', `${part('name=a', '').repeat(11)}--b--`, /more than 10 parts/],
    ['goes on without end', `${part('name=a', '')}--b--${'x'.repeat(70_000)}`, /goes on/],
  ]
  for (const [how, text, sentence] of broken)
    it(`that ${how} is refused`, async () => {
      for (const size of [1, 50, 1000]) await assert.rejects(read(text, size), { kind: 'invalid', message: sentence })
    })

  it('ends its body when its reader stops early', async () => {
    let ended = false
    const body = (async function* () {
      try {
        yield* pieces(whole, 4)
      } finally {
        ended = true
      }
    })()
    for await (const _ of readParts(body, 'b', LIMITS)) break
    assert.ok(ended)
  })

  it('has fields within a limit, as UTF-8', async () => {
    const request = (text: string | Buffer) => ({
      headers: new Map([['content-type', 'multipart/form-data; boundary=b']]),
      body: pieces(text, 100),
    })
    const none = async () => undefined
    const fields = await readForm(request(`${part('name=a', 'é')}${part('name=a', '2')}--b--`), 'file', none, LIMITS)
    assert.deepEqual([...fields], [['a', ['é', '2']]])
    await assert.rejects(readForm(request(`${part('name=a', 'x'.repeat(2000))}--b--`), 'file', none, LIMITS), {
      kind: 'too_large',
    })
    const latin1 = Buffer.from(`${part('name=a', 'é')}--b--`, 'latin1')
    await assert.rejects(readForm(request(latin1), 'file', none, LIMITS), { kind: 'invalid', message: /not UTF-8/ })
  })
})

it('a boundary is found in a Content-Type, or the body is refused', () => {
  assert.equal(boundaryOf('multipart/form-data; boundary=abc'), 'abc')
  assert.equal(boundaryOf('Multipart/Form-Data; charset=utf-8; boundary="a b"; x=y'), 'a b')
  for (const type of [
    undefined,
    '',
    'application/json',
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/mixed; boundary=x',
    `multipart/form-data; boundary=${'x'.repeat(71)}`,
  ])
    assert.throws(() => boundaryOf(type), { kind: 'invalid' }, String(type))
})

it('a part is named as clients write it', () => {
  const named = (parameters: string) =>
    parseDisposition(`Content-Type: text/plain\r\ncontent-disposition: form-data; ${parameters}`)
  assert.deepEqual(named('name="a"; filename="b c.whl"'), { name: 'a', filename: 'b c.whl' })
  assert.deepEqual(named('name="a\\"b"; filename="%22"'), { name: 'a"b', filename: '"' })
  assert.deepEqual(named("name=a; filename*=utf-8''%C3%A9"), { name: 'a', filename: 'é' })
  assert.throws(() => named('name=a; name=b'), { kind: 'invalid' })
  assert.throws(() => named('filename=b'), { kind: 'invalid' })
})

describe('of the types on offer, a client gets', () => {
  const offered = ['text/html', 'application/json', 'application/x'] as const
  const rows: [string | undefined, string | undefined][] = [
    [undefined, 'text/html'],
    ['*/*', 'text/html'],
    ['application/json', 'application/json'],
    ['application/json;q=0.1, text/html;q=0.01', 'application/json'],
    ['text/html;q=0.5, application/*;q=0.6', 'application/json'],
    ['application/*, application/json;q=0', 'application/x'],
    ['image/png', undefined],
    ['text/html;q=0', undefined],
    ['text/html;q=nonsense, */*;q=0.1', 'application/json'],
  ]
  for (const [accept, type] of rows) it(`${type} for ${accept}`, () => assert.equal(preferred(accept, offered), type))
})
