/** Images as docker, skopeo and their like push and pull them: blobs in every way that there is, manifests, tags, referrers, tokens. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Place, Script, SendOptions } from './script.js'

const IMAGE = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json'
const NAME = 'team/app'

const config = Buffer.from('{"architecture":"amd64","os":"linux"}')
const layer = Buffer.alloc(200_000, 'layer')
const second = Buffer.from('a small layer')
const empty = Buffer.alloc(0)

const image = Buffer.from(
  // Spaces as no serialiser writes them: the bytes must stay.
  `{ "schemaVersion": 2,  "mediaType": "${IMAGE}",\n "config": ${json(config, 'application/vnd.oci.image.config.v1+json')}, "layers": [${json(layer, 'application/vnd.oci.image.layer.v1.tar')}, ${json(empty, 'application/vnd.oci.image.layer.v1.tar')}] }\n`,
)
const foreign = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: DOCKER,
    config: descriptor(config, 'application/vnd.docker.container.image.v1+json'),
    layers: [
      {
        ...descriptor(Buffer.from('elsewhere'), 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'),
        urls: ['https://example.test/layer'],
      },
    ],
  }),
)
const index = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: [descriptor(image, IMAGE), descriptor(foreign, DOCKER)],
  }),
)
const signature = about(descriptor(image, IMAGE), 'application/vnd.example.signature', { 'org.example.by': 'ann' })
const bom = about(descriptor(image, IMAGE), 'application/vnd.example.bom')
const early = about(
  { mediaType: IMAGE, digest: `sha256:${'0'.repeat(64)}`, size: 12 },
  'application/vnd.example.signature',
)

export const ociScript: Script = {
  format: 'oci',
  writes: [
    {
      name: 'a blob arrives in one stream',
      run: async (place) => {
        const begun = await write(place, `${NAME}/blobs/uploads/`, 'POST')
        assert.equal(begun.status, 202)
        const patched = await follow(place, begun, 'PATCH', layer)
        assert.equal(patched.status, 202)
        assert.equal(patched.headers.get('range'), `0-${layer.length - 1}`)
        const put = await follow(place, patched, 'PUT', undefined, `digest=${digest(layer)}`)
        assert.equal(put.status, 201)
        assert.equal(put.headers.get('docker-content-digest'), digest(layer))
        assert.deepEqual(await bytes(await place.send(absolute(place, put), authorized(place))), layer)
      },
    },
    {
      name: 'a blob arrives in pieces, and what is out of order is refused',
      run: async (place) => {
        const begun = await write(place, `${NAME}/blobs/uploads/`, 'POST')
        const half = 5
        const first = await follow(place, begun, 'PATCH', second.subarray(0, half), '', {
          'content-range': `0-${half - 1}`,
        })
        assert.equal(first.status, 202)
        const wrong = await follow(place, first, 'PATCH', second.subarray(half), '', { 'content-range': '9-16' })
        assert.equal(wrong.status, 416)
        const asked = await follow(place, first, 'GET')
        assert.equal(asked.status, 204)
        assert.equal(asked.headers.get('range'), `0-${half - 1}`)
        const range = { 'content-range': `${half}-${second.length - 1}` }
        const put = await follow(place, asked, 'PUT', second.subarray(half), `digest=${digest(second)}`, range)
        assert.equal(put.status, 201)
        assert.equal((await follow(place, asked, 'GET')).status, 404, 'the upload has ended')
      },
    },
    {
      name: 'a blob arrives with the first request, also an empty one and by its SHA-512',
      run: async (place) => {
        for (const [blob, name] of [
          [config, digest(config)],
          [empty, digest(empty)],
          [config, digest(config, 'sha512')],
        ] as const) {
          assert.equal((await push(place, NAME, blob, name)).status, 201, name)
          assert.equal((await write(place, `mounted/image/blobs/uploads/?mount=${name}`, 'POST')).status, 201, name)
          const head = await read(place, `${NAME}/blobs/${name}`, { method: 'HEAD' }, 'writeTo')
          assert.equal(head.status, 200)
          assert.equal(head.headers.get('docker-content-digest'), name)
        }
      },
    },
    {
      name: 'a wrong digest stores nothing',
      run: async (place) => {
        const wrong = digest(Buffer.from('something else'))
        await refused(await push(place, NAME, config, wrong), 400, 'DIGEST_INVALID')
        await refused(await push(place, NAME, config, 'sha256:short'), 400, 'DIGEST_INVALID')
        const begun = await write(place, `${NAME}/blobs/uploads/`, 'POST')
        await refused(await follow(place, begun, 'PUT', config, `digest=${wrong}`), 400, 'DIGEST_INVALID')
        await refused(await read(place, `${NAME}/blobs/${wrong}`, {}, 'writeTo'), 404, 'BLOB_UNKNOWN')
      },
    },
    {
      name: 'an upload that is given up is gone',
      run: async (place) => {
        const begun = await write(place, `${NAME}/blobs/uploads/`, 'POST')
        assert.equal((await follow(place, begun, 'DELETE')).status, 204)
        await refused(await follow(place, begun, 'PATCH', config), 404, 'BLOB_UPLOAD_UNKNOWN')
      },
    },
    {
      name: 'a blob is mounted from another image, and from anywhere, without being sent',
      run: async (place) => {
        const from = `${keyOf(place.writeTo)}/${NAME}`
        for (const query of [`mount=${digest(layer)}&from=${encodeURIComponent(from)}`, `mount=${digest(second)}`]) {
          const reply = await write(place, `other/image/blobs/uploads/?${query}`, 'POST')
          assert.equal(reply.status, 201, query)
          assert.equal((await place.send(absolute(place, reply), { ...authorized(place), method: 'HEAD' })).status, 200)
        }
        const nowhere = digest(Buffer.from('nowhere'))
        for (const query of [
          `mount=${nowhere}&from=${encodeURIComponent(from)}`,
          `mount=${nowhere}`,
          `mount=${digest(layer)}&from=no/such`,
        ])
          assert.equal((await write(place, `third/image/blobs/uploads/?${query}`, 'POST')).status, 202, query)
      },
    },
    {
      name: 'a manifest needs its blobs, and its bytes stay as they are',
      run: async (place) => {
        await refused(await put(place, 'lonely', 'latest', image, IMAGE), 404, 'MANIFEST_BLOB_UNKNOWN')
        const reply = await put(place, NAME, 'latest', image, `${IMAGE}; charset=utf-8`)
        assert.equal(reply.status, 201)
        assert.equal(reply.headers.get('docker-content-digest'), digest(image))
        assert.deepEqual(await bytes(await place.send(absolute(place, reply), authorized(place))), image)
        assert.equal((await put(place, NAME, 'latest', image, IMAGE)).status, 201, 'again')
      },
    },
    {
      name: 'a foreign layer need not be there; an index needs its manifests',
      run: async (place) => {
        await refused(await put(place, NAME, 'multi', index, INDEX), 404, 'MANIFEST_BLOB_UNKNOWN')
        assert.equal((await put(place, NAME, digest(foreign), foreign, DOCKER)).status, 201)
        const tagged = await put(place, NAME, `${digest(index)}?tag=multi&tag=v1.0`, index, INDEX)
        assert.equal(tagged.status, 201)
        assert.equal(tagged.headers.get('oci-tag'), 'multi, v1.0')
      },
    },
    {
      name: 'manifests that lie are refused',
      run: async (place) => {
        const of = (more: object) => Buffer.from(JSON.stringify({ ...JSON.parse(image.toString()), ...more }))
        for (const [body, type] of [
          [Buffer.from('{'), IMAGE],
          [Buffer.from('[]'), IMAGE],
          [of({ schemaVersion: 1 }), IMAGE],
          [of({ layers: 'none' }), IMAGE],
          [of({ config: { ...descriptor(config, 'x/y'), size: 1 } }), IMAGE],
          [of({ layers: [{ mediaType: 'x/y', digest: 'sha256:zz', size: 1 }] }), IMAGE],
          [image, INDEX],
          [image, 'text/plain'],
        ] as const)
          await refused(await put(place, NAME, 'lie', body, type), 400, 'MANIFEST_INVALID')
        await refused(await put(place, NAME, digest(config), image, IMAGE), 400, 'DIGEST_INVALID')
        await refused(await put(place, NAME, '.tag', image, IMAGE), 400, 'MANIFEST_INVALID')
        await refused(await put(place, 'Upper', 'latest', image, IMAGE), 400, 'NAME_INVALID')
        await refused(await read(place, `${NAME}/manifests/lie`, {}, 'writeTo'), 404, 'MANIFEST_UNKNOWN')
      },
    },
    {
      name: 'what refers to an image says so, before the image is there too',
      run: async (place) => {
        for (const each of [signature, bom, early]) {
          const reply = await put(place, NAME, digest(each), each, IMAGE)
          assert.equal(reply.status, 201)
          assert.equal(reply.headers.get('oci-subject'), JSON.parse(each.toString()).subject.digest)
        }
      },
    },
    {
      name: 'a tag moves, and is deleted without its manifest',
      run: async (place) => {
        assert.equal((await put(place, NAME, 'moving', image, IMAGE)).status, 201)
        assert.equal((await put(place, NAME, 'moving', foreign, DOCKER)).status, 201)
        const moved = await read(place, `${NAME}/manifests/moving`, { method: 'HEAD' }, 'writeTo')
        assert.equal(moved.headers.get('docker-content-digest'), digest(foreign))
        assert.equal((await write(place, `${NAME}/manifests/moving`, 'DELETE')).status, 202)
        await refused(await read(place, `${NAME}/manifests/moving`, {}, 'writeTo'), 404, 'MANIFEST_UNKNOWN')
        assert.equal((await read(place, `${NAME}/manifests/${digest(foreign)}`, {}, 'writeTo')).status, 200)
      },
    },
    {
      name: 'a deleted manifest takes its tags along, and comes back when it is pushed again',
      run: async (place) => {
        const path = `${NAME}/manifests/${digest(bom)}`
        assert.equal((await put(place, NAME, 'bom', bom, IMAGE)).status, 201)
        assert.equal((await write(place, path, 'DELETE')).status, 202)
        for (const gone of [path, `${NAME}/manifests/bom`])
          await refused(await read(place, gone, {}, 'writeTo'), 404, 'MANIFEST_UNKNOWN')
        await refused(await write(place, path, 'DELETE'), 404, 'MANIFEST_UNKNOWN')
        assert.equal((await put(place, NAME, digest(bom), bom, IMAGE)).status, 201)
        assert.equal((await read(place, path, {}, 'writeTo')).status, 200)
      },
    },
    {
      name: 'a deleted blob is gone from its image only, and comes back when it is pushed again',
      run: async (place) => {
        const path = `blobs/${digest(second)}`
        assert.equal((await write(place, `other/image/${path}`, 'DELETE')).status, 202)
        await refused(await read(place, `other/image/${path}`, { method: 'GET' }, 'writeTo'), 404, 'BLOB_UNKNOWN')
        assert.equal((await read(place, `${NAME}/${path}`, {}, 'writeTo')).status, 200)
        assert.equal((await push(place, 'other/image', second, digest(second))).status, 201)
        assert.equal((await read(place, `other/image/${path}`, {}, 'writeTo')).status, 200)
      },
    },
    {
      name: 'without credentials nothing is written, and the reply says where a token is to be had',
      run: async (place) => {
        const reply = await place.send(`${urlOf(place.writeTo)}/${NAME}/blobs/uploads/`, { method: 'POST' })
        await refused(reply.clone(), 401, 'UNAUTHORIZED')
        const scope = `repository:${keyOf(place.writeTo)}/${NAME}:pull,push`
        const challenge = reply.headers.get('www-authenticate') ?? ''
        assert.match(challenge, /^Bearer realm="https?:\/\/[^"]+\/v2\/_token",service="[^"]+",scope="/)
        assert.ok(challenge.includes(`scope="${scope}"`), challenge)
      },
    },
    {
      name: 'a password is exchanged for a token that pushes',
      run: async (place) => {
        const { name, password } = place.user
        const login = { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` }
        const url = `${root(place)}_token?service=x&scope=repository:a/b:pull&scope=repository:c:push`
        const replies = [
          await place.send(url, { headers: login }),
          await place.send(`${root(place)}_token`, {
            method: 'POST',
            headers: { 'content-type': 'application/x-www-form-urlencoded' },
            body: String(new URLSearchParams({ grant_type: 'password', username: name, password, service: 'x' })),
          }),
        ]
        for (const reply of replies) {
          assert.equal(reply.status, 200)
          const { token, access_token, expires_in } = (await reply.json()) as Record<string, unknown>
          assert.equal(token, access_token)
          assert.ok(typeof expires_in === 'number' && expires_in >= 60)
          const pushed = await push({ ...place, authorization: `Bearer ${token}` }, NAME, second, digest(second))
          assert.equal(pushed.status, 201)
        }
        // Of another name each time: after a few failures for one of them everybody here would have to wait.
        const wrong = { authorization: `Basic ${Buffer.from(`${keyOf(place.writeTo)}:wrong`).toString('base64')}` }
        await refused(await place.send(url, { headers: wrong }), 401, 'UNAUTHORIZED')
      },
    },
  ],
  reads: [
    {
      name: 'the version check wants a token, and anybody gets one',
      run: async (place) => {
        await refused(await place.send(root(place)), 401, 'UNAUTHORIZED')
        const { token } = (await (await place.send(`${root(place)}_token`)).json()) as { token: string }
        const reply = await place.send(root(place), { headers: { authorization: `Bearer ${token}` } })
        assert.equal(reply.status, 200)
        assert.equal(reply.headers.get('docker-distribution-api-version'), 'registry/2.0')
        const pulled = await place.send(`${urlOf(place.readFrom)}/${NAME}/manifests/latest`, {
          headers: { authorization: `Bearer ${token}` },
        })
        assert.equal(pulled.status, 200)
      },
    },
    {
      name: 'a token of ours is exchanged for itself',
      run: async (place) => {
        const value = place.authorization.replace(/^Bearer /, '')
        const authorization = `Basic ${Buffer.from(`anyone:${value}`).toString('base64')}`
        const reply = await place.send(`${root(place)}_token`, { headers: { authorization } })
        assert.equal(((await reply.json()) as { token: string }).token, value)
      },
    },
    {
      name: 'a manifest is read by tag and by digest, byte for byte',
      run: async (place) => {
        for (const reference of ['latest', digest(image)]) {
          const reply = await read(place, `${NAME}/manifests/${reference}`)
          assert.equal(reply.status, 200)
          assert.equal(reply.headers.get('content-type'), IMAGE)
          assert.equal(reply.headers.get('docker-content-digest'), digest(image))
          assert.equal(reply.headers.get('etag'), `"${digest(image)}"`)
          assert.deepEqual(await bytes(reply), image)
          const known = { 'if-none-match': `"${digest(image)}"` }
          assert.equal((await read(place, `${NAME}/manifests/${reference}`, { headers: known })).status, 304)
        }
        const docker = await read(place, `${NAME}/manifests/${digest(foreign)}`)
        assert.equal(docker.headers.get('content-type'), DOCKER)
        assert.deepEqual(await bytes(docker), foreign)
        assert.deepEqual(await bytes(await read(place, `${NAME}/manifests/v1.0`)), index)
      },
    },
    {
      name: 'a blob is read whole and in ranges, by either digest',
      run: async (place) => {
        const reply = await read(place, `${NAME}/blobs/${digest(layer)}`)
        assert.equal(reply.headers.get('docker-content-digest'), digest(layer))
        assert.match(reply.headers.get('cache-control') ?? '', /immutable/)
        assert.deepEqual(await bytes(reply), layer)
        const part = await read(place, `${NAME}/blobs/${digest(layer)}`, { headers: { range: 'bytes=500-1499' } })
        assert.equal(part.status, 206)
        assert.deepEqual(await bytes(part), layer.subarray(500, 1500))
        const backwards = { headers: { range: 'bytes=500-0' } }
        assert.equal((await read(place, `${NAME}/blobs/${digest(layer)}`, backwards)).status, 416)
        assert.deepEqual(await bytes(await read(place, `${NAME}/blobs/${digest(config, 'sha512')}`)), config)
        assert.deepEqual(await bytes(await read(place, `${NAME}/blobs/${digest(empty)}`)), empty)
        await refused(await read(place, `${NAME}/blobs/${digest(Buffer.from('none'))}`), 404, 'BLOB_UNKNOWN')
      },
    },
    {
      name: 'tags are listed in order and in pages',
      run: async (place) => {
        const list = async (query: string) => {
          const reply = await read(place, `${NAME}/tags/list${query}`)
          assert.equal(reply.status, 200)
          return { ...((await reply.json()) as { name: string; tags: string[] }), link: reply.headers.get('link') }
        }
        const key = keyOf(place.readFrom)
        assert.deepEqual(await list(''), { name: `${key}/${NAME}`, tags: ['latest', 'multi', 'v1.0'], link: null })
        assert.deepEqual((await list('?n=0')).tags, [])
        const page = await list('?n=2')
        assert.deepEqual(page.tags, ['latest', 'multi'])
        assert.equal(page.link, `</v2/${key}/${NAME}/tags/list?n=2&last=multi>; rel="next"`)
        assert.deepEqual((await list('?n=2&last=multi')).tags, ['v1.0'])
        await refused(await read(place, 'no/such/tags/list'), 404, 'NAME_UNKNOWN')
        await refused(await read(place, `${NAME}/tags/list?n=x`), 400, 'SIZE_INVALID')
      },
    },
    {
      name: 'referrers are listed, filtered and in pages, and none is a list too',
      run: async (place) => {
        const list = async (subject: string, query = '') => {
          const reply = await read(place, `${NAME}/referrers/${subject}${query}`)
          assert.equal(reply.status, 200)
          assert.equal(reply.headers.get('content-type'), INDEX)
          return { reply, manifests: ((await reply.json()) as { manifests: Record<string, unknown>[] }).manifests }
        }
        const all = await list(digest(image))
        assert.deepEqual(all.manifests.map((each) => each.digest).sort(), [digest(bom), digest(signature)].sort())
        const signatures = await list(digest(image), '?artifactType=application/vnd.example.signature')
        assert.equal(signatures.reply.headers.get('oci-filters-applied'), 'artifactType')
        assert.deepEqual(signatures.manifests, [
          {
            ...descriptor(signature, IMAGE),
            artifactType: 'application/vnd.example.signature',
            annotations: { 'org.example.by': 'ann' },
          },
        ])
        const first = await list(digest(image), '?n=1')
        assert.equal(first.manifests.length, 1)
        const next = /<([^>]+)>; rel="next"/.exec(first.reply.headers.get('link') ?? '')?.[1] ?? ''
        const rest = (await (await place.send(new URL(next, place.readFrom).href)).json()) as typeof first
        assert.equal(rest.manifests.length, 1)
        assert.notEqual(rest.manifests[0]?.digest, first.manifests[0]?.digest)
        assert.equal((await list(`sha256:${'0'.repeat(64)}`)).manifests.length, 1, 'its subject never came')
        assert.equal((await list(digest(config))).manifests.length, 0)
        await refused(await read(place, `${NAME}/referrers/sha256:x`), 400, 'DIGEST_INVALID')
      },
    },
    {
      name: 'images are listed over all repositories, in pages',
      run: async (place) => {
        const key = keyOf(place.readFrom)
        const reply = await place.send(`${root(place)}_catalog?n=1&last=${key}/`, authorized(place))
        assert.deepEqual(await reply.json(), { repositories: [`${key}/${NAME}`] })
      },
    },
    {
      name: 'the address of the repository leads to the same',
      run: async (place) => {
        const reply = await place.send(`${place.readFrom}/v2/${NAME}/manifests/latest`)
        assert.deepEqual(await bytes(reply), image)
        const tags = await place.send(`${place.readFrom}/v2/${NAME}/tags/list`)
        assert.equal(((await tags.json()) as { name: string }).name, NAME)
        const catalog = await place.send(`${place.readFrom}/v2/_catalog`)
        assert.deepEqual(await catalog.json(), { repositories: [NAME] })
      },
    },
  ],
  refusals: [
    {
      name: 'a push says when to come back',
      run: async (place) => {
        const reply = await write(place, `${NAME}/blobs/uploads/`, 'POST')
        assert.equal(reply.status, 503)
        assert.ok(Number(reply.headers.get('retry-after')) > 0)
        const { errors } = (await reply.json()) as { errors: { message: string }[] }
        assert.match(errors[0]?.message ?? '', /primary cannot be reached/i)
      },
    },
  ],
}

function about(subject: object, artifactType: string, annotations?: Record<string, string>): Buffer {
  const none = Buffer.from('{"architecture":"amd64","os":"linux"}')
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: IMAGE,
      artifactType,
      config: descriptor(none, 'application/vnd.oci.empty.v1+json'),
      layers: [],
      subject,
      ...(annotations ? { annotations } : {}),
    }),
  )
}

function json(body: Buffer, mediaType: string): string {
  return JSON.stringify(descriptor(body, mediaType))
}

function descriptor(body: Buffer, mediaType: string): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest: digest(body), size: body.length }
}

function digest(body: Buffer, algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(body).digest('hex')}`
}

function keyOf(repository: string): string {
  return repository.slice(repository.lastIndexOf('/') + 1)
}

function urlOf(repository: string): string {
  return `${new URL(repository).origin}/v2/${keyOf(repository)}`
}

function root(place: Place): string {
  return `${new URL(place.readFrom).origin}/v2/`
}

function absolute(place: Place, reply: Response): string {
  return new URL(reply.headers.get('location') ?? 'missing:', place.writeTo).href
}

function authorized({ authorization }: Place, headers: Record<string, string> = {}): SendOptions {
  return { headers: { authorization, ...headers } }
}

function write(place: Place, path: string, method: string, options: SendOptions = {}): Promise<Response> {
  return place.send(`${urlOf(place.writeTo)}/${path}`, { ...options, method, ...authorized(place, options.headers) })
}

function push(place: Place, name: string, body: Buffer, as: string): Promise<Response> {
  return write(place, `${name}/blobs/uploads/?digest=${as}`, 'POST', { body })
}

function put(place: Place, name: string, reference: string, body: Buffer, type: string): Promise<Response> {
  return write(place, `${name}/manifests/${reference}`, 'PUT', { body, headers: { 'content-type': type } })
}

function follow(
  place: Place,
  reply: Response,
  method: string,
  body?: Buffer,
  query = '',
  headers: Record<string, string> = {},
): Promise<Response> {
  const url = absolute(place, reply) + (query === '' ? '' : `?${query}`)
  return place.send(url, { method, ...authorized(place, headers), ...(body === undefined ? {} : { body }) })
}

function read(
  place: Place,
  path: string,
  options: SendOptions = {},
  where: 'readFrom' | 'writeTo' = 'readFrom',
): Promise<Response> {
  return place.send(`${urlOf(place[where])}/${path}`, options)
}

async function bytes(reply: Response): Promise<Buffer> {
  return Buffer.from(await reply.arrayBuffer())
}

async function refused(reply: Response, status: number, code: string): Promise<void> {
  const text = await reply.text()
  assert.equal(reply.status, status, text)
  const { errors } = JSON.parse(text) as { errors: { code: string; message: string }[] }
  assert.equal(errors[0]?.code, code, text)
  assert.ok((errors[0]?.message.length ?? 0) > 10)
}
