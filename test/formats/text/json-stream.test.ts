import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeBase64 } from '../../../formats/text/base64-stream.js'
import { parseJson } from '../../../formats/text/json.js'
import { type ScanOptions, scanJson } from '../../../formats/text/json-stream.js'
import { RegistryError } from '../../../protocol/errors.js'

interface Scanned {
  document: unknown
  streamed: [string, string][]
}

async function scan(source: string | Buffer, chunkSize = 1000, more: Partial<ScanOptions> = {}): Promise<Scanned> {
  const streamed: [string, string][] = []
  const text = await scanJson(chunks(Buffer.from(source), chunkSize), {
    under: '_attachments',
    field: 'data',
    limit: 1_000_000,
    wanted: (name) => name.endsWith('.tgz'),
    take: async (name, data) => {
      let all = ''
      for await (const chunk of data) all += Buffer.from(chunk).toString('latin1')
      streamed.push([name, all])
    },
    ...more,
  })
  return { document: parseJson(text), streamed }
}

/** Each chunk is spoiled when the next one is asked for, as the port allows. */
async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = Uint8Array.from(bytes.subarray(at, at + size))
    yield chunk
    chunk.fill(0x22)
  }
}

describe('a document with long strings', () => {
  const rows: { what: string; source: string; streamed: [string, string][]; document: unknown }[] = [
    {
      what: "npm's own order",
      source:
        '{"name":"a","versions":{"1":{"x":"\\"_attachments\\""}},"_attachments":{"a.tgz":{"content_type":"t","data":"QUJD","length":3}}}',
      streamed: [['a.tgz', 'QUJD']],
      document: {
        name: 'a',
        versions: { 1: { x: '"_attachments"' } },
        _attachments: { 'a.tgz': { content_type: 't', data: '', length: 3 } },
      },
    },
    {
      what: 'attachments first, and white space everywhere',
      source:
        ' {\n"_attachments" : { "a.tgz" :\t{ "data" : "QUJD" , "length" : 3 } , "b.sigstore" : { "data" : "{}" } } ,\r\n "name" : "a" } ',
      streamed: [['a.tgz', 'QUJD']],
      document: { _attachments: { 'a.tgz': { data: '', length: 3 }, 'b.sigstore': { data: '{}' } }, name: 'a' },
    },
    {
      what: 'escapes in the data and in keys',
      source: '{"\\u005fattachments":{"\\u0061.tgz":{"d\\u0061ta":"QU\\/JD\\u002b=="}}}',
      streamed: [['a.tgz', 'QU/JD+==']],
      document: { _attachments: { 'a.tgz': { data: '' } } },
    },
    {
      what: 'decoys in other places',
      source:
        '{"x":{"_attachments":{"a.tgz":{"data":"no"}}},"y":[{"_attachments":{"a.tgz":{"data":"no"}}}],"_attachments":{"a.tgz":{"z":{"data":"no"},"w":["data","no"],"data":"yes"}},"data":"no"}',
      streamed: [['a.tgz', 'yes']],
      document: {
        x: { _attachments: { 'a.tgz': { data: 'no' } } },
        y: [{ _attachments: { 'a.tgz': { data: 'no' } } }],
        _attachments: { 'a.tgz': { z: { data: 'no' }, w: ['data', 'no'], data: '' } },
        data: 'no',
      },
    },
    {
      what: 'lists in the place of objects',
      source: '{"_attachments":[{"a.tgz":{"data":"no"}},"data",["a.tgz",{"data":"no"}]]}',
      streamed: [],
      document: { _attachments: [{ 'a.tgz': { data: 'no' } }, 'data', ['a.tgz', { data: 'no' }]] },
    },
    {
      what: 'lists after objects of the same depth',
      source: '{"_attachments":{"a.tgz":{"data":"yes"}},"_attachments":[["no"],{"x":["no"]}]}',
      streamed: [['a.tgz', 'yes']],
      document: { _attachments: [['no'], { x: ['no'] }] },
    },
    {
      what: 'an empty string',
      source: '{"_attachments":{"a.tgz":{"data":""}}}',
      streamed: [['a.tgz', '']],
      document: { _attachments: { 'a.tgz': { data: '' } } },
    },
    {
      what: 'data that is no string',
      source: '{"_attachments":{"a.tgz":{"data":{"data":"x"}},"b.tgz":{"data":7}}}',
      streamed: [],
      document: { _attachments: { 'a.tgz': { data: { data: 'x' } }, 'b.tgz': { data: 7 } } },
    },
    {
      what: 'two of them',
      source: '{"_attachments":{"a.tgz":{"data":"one"},"b.tgz":{"data":"two"}}}',
      streamed: [
        ['a.tgz', 'one'],
        ['b.tgz', 'two'],
      ],
      document: { _attachments: { 'a.tgz': { data: '' }, 'b.tgz': { data: '' } } },
    },
    {
      what: 'backslashes before quotes',
      source: '{"a":"\\\\","b":"\\\\\\"","c\\"":1}',
      streamed: [],
      document: { a: '\\', b: '\\"', 'c"': 1 },
    },
  ]
  for (const { what, source, streamed, document } of rows)
    it(`(${what}) is taken apart, wherever its chunks end`, async () => {
      for (let size = 1; size <= source.length; size++)
        assert.deepEqual(await scan(source, size), { document, streamed })
    })

  it('skips what its reader does not read', async () => {
    const source = `{"_attachments":{"a.tgz":{"data":"${'x'.repeat(5000)}"}},"name":"a"}`
    const take = async (_: string, data: AsyncIterable<Uint8Array>) => {
      for await (const _chunk of data) break
    }
    assert.deepEqual((await scan(source, 100, { take })).document, {
      _attachments: { 'a.tgz': { data: '' } },
      name: 'a',
    })
    assert.deepEqual((await scan(source, 100, { take: async () => undefined })).document, {
      _attachments: { 'a.tgz': { data: '' } },
      name: 'a',
    })
  })

  it('does not count streamed strings towards its limit, and everything else', async () => {
    const long = 'x'.repeat(5000)
    await scan(`{"_attachments":{"a.tgz":{"data":"${long}"}}}`, 100, { limit: 100 })
    await assert.rejects(scan(`{"_attachments":{"a.bin":{"data":"${long}"}}}`, 100, { limit: 100 }), kind('too_large'))
  })

  it('ends when its reader throws, and tells the body', async () => {
    let told = false
    async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
      try {
        for (;;) yield Buffer.from('{"_attachments":{"a.tgz":{"data":"QUJD')
      } finally {
        told = true
      }
    }
    const take = () => Promise.reject(new Error('enough'))
    await assert.rejects(
      scanJson(body(), { under: '_attachments', field: 'data', limit: 1000, wanted: () => true, take }),
      /enough/,
    )
    assert.ok(told)
  })

  for (const source of [
    '',
    '{',
    '{"a":',
    '{"_attachments":{"a.tgz":{"data":"QUJD',
    '{"_attachments":{"a.tgz":{"data":"Q\\',
    '{}}',
    ']',
    '{"a":1} x',
    '\ufeff{}',
    '{"_attachments":{"a.tgz":{"data":"\\x"}}}',
    '['.repeat(300) + ']'.repeat(300),
    '{"a":"\u0001"}',
  ])
    it(`refuses ${JSON.stringify(source.slice(0, 50))}`, async () => {
      for (const size of [1, 7, 1000]) await assert.rejects(scan(source, size), kind('invalid'))
    })

  it('refuses what is not UTF-8', () => assert.rejects(scan(Buffer.from('{"a":"\xff"}', 'latin1')), kind('invalid')))
})

describe('JSON from outside', () => {
  it('never brings a prototype along, however it is spelled', () => {
    for (const source of [
      '{"__proto__":{"x":1},"a":{"__proto__":{"x":1}}}',
      '{"__pr\\u006fto__":{"x":1},"a":{"\\u005f_proto__":{"x":1}}}',
    ]) {
      const parsed = parseJson(source) as Record<string, object>
      assert.deepEqual(Object.keys(parsed), ['a'])
      assert.deepEqual(Object.getOwnPropertyNames(parsed.a), [])
      assert.equal(({ ...parsed } as { x?: unknown }).x, undefined)
    }
    assert.equal(({} as { x?: unknown }).x, undefined)
  })
})

describe('base64', () => {
  async function decoded(text: string, size: number): Promise<string> {
    let all = ''
    for await (const chunk of decodeBase64(chunks(Buffer.from(text), size)))
      all += Buffer.from(chunk).toString('latin1')
    return all
  }

  it('is decoded, wherever its chunks end', async () => {
    for (const plain of ['', 'a', 'ab', 'abc', 'abcd', '\xff\xfe\xfd\x00', 'x'.repeat(100)])
      for (const size of [1, 2, 3, 4, 5, 1000])
        assert.equal(await decoded(Buffer.from(plain, 'latin1').toString('base64'), size), plain)
  })

  for (const text of [
    'QUJ',
    'QUJD=',
    'Q===',
    '====',
    'QU=D',
    'QQ==QUJD',
    'QUJ!',
    'QU JD',
    'QUJD\n',
    '%%%%',
    'Q',
    'QUJDQ',
    '\xe9\xe9\xe9\xe9',
  ])
    it(`refuses ${JSON.stringify(text)}`, async () => {
      for (const size of [1, 4, 1000]) await assert.rejects(decoded(text, size), kind('invalid'))
    })
})

function kind(wanted: string): (error: unknown) => boolean {
  return (error) => error instanceof RegistryError && error.kind === wanted
}
