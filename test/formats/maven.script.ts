/** Maven, as mvn, Gradle and sbt speak: releases, snapshots, checksums, metadata at its three levels, plugins, removal. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { jar, pluginJar, pom } from './maven/jar.js'
import type { Place, Script, SendOptions } from './script.js'

const APP = '/org/matrix/app'
const LIB = '/org/matrix/lib'
const SNAPSHOT = `${LIB}/1.1-SNAPSHOT`
const PLUGIN = '/org/matrix/plugins/hello-maven-plugin'
const content = jar([{ name: 'App.class', content: 'not really\n'.repeat(1000) }])
const BUILDS = ['20261120.042440-1', '20261120.052440-2', '20261120.052440-10']

export const mavenScript: Script = {
  format: 'maven',
  upstream: '/',
  writes: [
    {
      name: 'a release is deployed as mvn does it, and its POM makes it visible',
      run: async (place) => {
        await stored(place, `${APP}/1.0/app-1.0.jar`, content)
        assert.equal((await read(place, `${APP}/maven-metadata.xml`, 'writeTo')).status, 404)
        await stored(place, `${APP}/1.0/app-1.0.pom`, pom('org.matrix', 'app', '1.0'))
        assert.equal((await read(place, `${APP}/maven-metadata.xml`, 'writeTo')).status, 200)
        assert.equal((await put(place, `${APP}/maven-metadata.xml`, '<metadata/>')).status, 201)
        assert.equal((await put(place, `${APP}/maven-metadata.xml.sha1`, 'anything')).status, 201)
        await stored(place, `${APP}/1.0/app-1.0-sources.jar`, jar([{ name: 'App.java', content: 'x' }]))
        await stored(place, `${APP}/1.0/app-1.0.jar.asc`, '-----BEGIN PGP SIGNATURE-----\n')
        await stored(place, `${APP}/1.0/app-1.0.module`, '{"formatVersion":"1.1"}')
      },
    },
    {
      name: 'the same bytes again are fine, others are refused',
      run: async (place) => {
        for (const [path, body] of [
          [`${APP}/1.0/app-1.0.jar`, content],
          [`${APP}/1.0/app-1.0.pom`, pom('org.matrix', 'app', '1.0')],
        ] as const) {
          assert.equal((await put(place, path, body)).status, 200)
          assert.equal((await put(place, path, Buffer.alloc(Buffer.byteLength(body), 'x'))).status, 409)
          assert.equal((await put(place, path, 'other')).status, 409)
        }
      },
    },
    {
      name: 'a checksum is compared with what arrived, and never stored',
      run: async (place) => {
        const path = `${APP}/1.0/app-1.0.jar`
        for (const algorithm of ['md5', 'sha1', 'sha256', 'sha512']) {
          assert.equal(
            (await put(place, `${path}.${algorithm}`, `${hash(algorithm, content)}  app-1.0.jar\n`)).status,
            201,
          )
          assert.equal((await put(place, `${path}.${algorithm}`, hash(algorithm, 'other'))).status, 400, algorithm)
          assert.equal((await put(place, `${path}.${algorithm}`, 'nonsense')).status, 400)
          assert.equal(await text(await read(place, `${path}.${algorithm}`, 'writeTo')), hash(algorithm, content))
        }
        assert.equal((await put(place, `${APP}/1.0/app-1.0.zip.sha1`, hash('sha1', 'x'))).status, 409)
      },
    },
    {
      name: 'a wrong checksum header stores nothing',
      run: async (place) => {
        const path = `${APP}/1.0/app-1.0-wrong.jar`
        assert.equal((await put(place, path, content, { 'x-checksum-sha1': hash('sha1', 'other') })).status, 400)
        assert.equal((await read(place, path, 'writeTo')).status, 404)
        await stored(place, `${APP}/1.0/app-1.0-right.jar`, content, { 'x-checksum-sha1': hash('sha1', content) })
      },
    },
    {
      name: 'paths outside the layout and POMs that do not agree with theirs are refused',
      run: async (place) => {
        for (const path of ['/file.jar', '/org/x.jar', `${APP}/1.0/other.jar`, `${APP}/1.0/app-2.0.jar`])
          assert.equal((await put(place, path, content)).status, 400, path)
        for (const body of [
          pom('org.matrix', 'app', '3.1'),
          pom('org.other', 'app', '3.0'),
          'no pom',
          `<!DOCTYPE x [<!ENTITY e "e">]>${pom('org.matrix', 'app', '3.0')}`,
        ]) {
          const reply = await put(place, `${APP}/3.0/app-3.0.pom`, body)
          assert.equal(reply.status, 400)
          assert.match(((await reply.json()) as { detail: string }).detail, /POM/)
        }
        assert.equal((await read(place, `${APP}/3.0/app-3.0.pom`, 'writeTo')).status, 404)
      },
    },
    {
      name: 'twenty deploys at once lose nothing',
      run: async (place) => {
        const versions = Array.from({ length: 10 }, (_, i) => `2.${i}`)
        await Promise.all(
          versions.flatMap((version) => [
            stored(place, `${APP}/${version}/app-${version}.jar`, content),
            stored(place, `${APP}/${version}/app-${version}.pom`, pom('org.matrix', 'app', version)),
          ]),
        )
        const listed = versionsIn(await text(await read(place, `${APP}/maven-metadata.xml`, 'writeTo')))
        assert.deepEqual(listed, ['1.0', ...versions])
      },
    },
    {
      name: "versions are listed in Maven's order, and a snapshot is no release",
      run: async (place) => {
        for (const version of ['2.10', '2.10-rc1', '2.2.Final'])
          await stored(place, `${APP}/${version}/app-${version}.pom`, pom('org.matrix', 'app', version))
        const build = `${APP}/3.0-SNAPSHOT/app-3.0-20261120.042440-1.pom`
        await stored(place, build, pom('org.matrix', 'app', '3.0-SNAPSHOT'))
      },
    },
    {
      name: 'builds of a snapshot are added, in whatever order they come',
      run: async (place) => {
        for (const build of [BUILDS[1], BUILDS[0], BUILDS[2]] as string[]) {
          await stored(place, `${SNAPSHOT}/lib-1.1-${build}.jar`, `jar of ${build}`)
          await stored(place, `${SNAPSHOT}/lib-1.1-${build}.pom`, pom('org.matrix', 'lib', '1.1-SNAPSHOT'))
        }
        await stored(place, `${SNAPSHOT}/lib-1.1-${BUILDS[0]}-sources.jar`, 'sources')
        // Its POM has not arrived: nobody is led to it.
        await stored(place, `${SNAPSHOT}/lib-1.1-20270101.000000-11.jar`, 'half')
      },
    },
    {
      name: 'a snapshot that is sent without a build is given one, again and again',
      run: async (place) => {
        const path = '/org/matrix/sbt/1-SNAPSHOT/sbt-1-SNAPSHOT'
        for (const body of ['one', 'two']) {
          await stored(place, `${path}.jar`, body)
          assert.equal((await put(place, `${path}.jar.sha1`, hash('sha1', body))).status, 201)
          const sent = await put(place, `${path}.pom`, pom('org.matrix', 'sbt', '1-SNAPSHOT'))
          assert.equal(sent.status, 201)
          assert.equal(await text(await read(place, `${path}.jar`, 'writeTo')), body)
        }
        assert.equal((await put(place, `${path}.jar`, 'two')).status, 200)
      },
    },
    {
      name: 'a plugin is known to its group by its prefix, whichever of jar and POM comes first',
      run: async (place) => {
        const packaging = '<packaging>maven-plugin</packaging>'
        const files = (version: string): [string, string | Buffer][] => [
          [
            `${PLUGIN}/${version}/hello-maven-plugin-${version}.jar`,
            pluginJar('org.matrix.plugins', 'hello-maven-plugin', 'hi'),
          ],
          [
            `${PLUGIN}/${version}/hello-maven-plugin-${version}.pom`,
            pom('org.matrix.plugins', 'hello-maven-plugin', version, packaging),
          ],
        ]
        for (const list of [files('1.0'), files('1.1').reverse()])
          for (const [path, body] of list) await stored(place, path, body)
        await Promise.all(files('1.2').map(([path, body]) => stored(place, path, body)))
        const other = `${PLUGIN}/2.0/hello-maven-plugin-2.0`
        await stored(place, `${other}.pom`, pom('org.matrix.plugins', 'hello-maven-plugin', '2.0', packaging))
        for (const wrong of [Buffer.from('no jar'), pluginJar('org.matrix.plugins', 'other-maven-plugin', 'x')])
          assert.equal((await put(place, `${other}.jar`, wrong)).status, 400)
      },
    },
    {
      name: 'an artifact and a group of the same folder share its metadata',
      run: async (place) => stored(place, '/org/matrix/plugins/7/plugins-7.pom', pom('org.matrix', 'plugins', '7')),
    },
    {
      name: 'a version is removed with all its files, and its paths stay taken',
      run: async (place) => {
        const path = `${APP}/9.0/app-9.0`
        await stored(place, `${path}.jar`, content)
        await stored(place, `${path}.pom`, pom('org.matrix', 'app', '9.0'))
        assert.equal((await send(place, `${path}.jar`, { method: 'DELETE' })).status, 204)
        for (const extension of ['jar', 'pom'])
          assert.equal((await read(place, `${path}.${extension}`, 'writeTo')).status, 404)
        assert.equal((await send(place, `${path}.jar`, { method: 'DELETE' })).status, 404)
        assert.equal((await put(place, `${path}.jar`, 'other')).status, 409)
      },
    },
    {
      name: 'nobody deploys without credentials',
      run: async (place) => {
        const reply = await place.send(`${place.writeTo}${APP}/4.0/app-4.0.jar`, { method: 'PUT', body: content })
        assert.equal(reply.status, 401)
        assert.match(reply.headers.get('www-authenticate') ?? '', /^Basic realm=/)
      },
    },
  ],
  reads: [
    {
      name: 'files come with their checksums, whole, in part, and by HEAD',
      run: async (place) => {
        const path = `${APP}/1.0/app-1.0.jar`
        const reply = await read(place, path)
        assert.equal(reply.headers.get('x-checksum-sha1'), hash('sha1', content))
        assert.equal(reply.headers.get('x-checksum-md5'), hash('md5', content))
        assert.match(reply.headers.get('cache-control') ?? '', /immutable/)
        assert.ok(Buffer.from(await reply.arrayBuffer()).equals(content))
        const head = await send(place, path, { method: 'HEAD' }, 'readFrom')
        assert.equal(head.status, 200)
        const part = await read(place, path, 'readFrom', { range: 'bytes=1-3' })
        assert.equal(part.status, 206)
        assert.ok(Buffer.from(await part.arrayBuffer()).equals(content.subarray(1, 4)))
        for (const algorithm of ['md5', 'sha1', 'sha256', 'sha512'])
          assert.equal(await text(await read(place, `${path}.${algorithm}`)), hash(algorithm, content))
      },
    },
    {
      name: 'signatures, module metadata and sources are files like others',
      hosted: true,
      run: async (place) => {
        for (const rest of ['.jar.asc', '.module', '-sources.jar', '.pom', '.jar.asc.sha1'])
          assert.equal((await read(place, `${APP}/1.0/app-1.0${rest}`)).status, 200, rest)
        const missing = await read(place, `${APP}/1.0/app-1.0-javadoc.jar`)
        assert.equal(missing.status, 404)
        // Maven 3.9 does not take problem+json for "not there".
        assert.match(missing.headers.get('content-type') ?? '', /^text\/plain/)
        assert.equal((await read(place, `${APP}/1.0/app-1.0-javadoc.jar.sha1`)).status, 404)
      },
    },
    {
      name: 'the metadata of an artifact, with checksums of these very bytes',
      run: async (place) => {
        const reply = await read(place, `${APP}/maven-metadata.xml`)
        assert.match(reply.headers.get('content-type') ?? '', /^application\/xml/)
        const sums = (name: string) => reply.headers.get(`x-checksum-${name}`)
        const body = await text(reply)
        const early = ['1.0', '2.0', '2.1', '2.2', '2.2.Final', '2.3', '2.4', '2.5', '2.6', '2.7', '2.8', '2.9']
        assert.deepEqual(versionsIn(body), [...early, '2.10-rc1', '2.10', '3.0-SNAPSHOT'])
        assert.match(body, /<groupId>org\.matrix<\/groupId>\s*<artifactId>app<\/artifactId>/)
        assert.match(body, /<latest>3\.0-SNAPSHOT<\/latest>\s*<release>2\.10<\/release>/)
        assert.match(body, /<lastUpdated>\d{14}<\/lastUpdated>/)
        assert.equal(sums('sha1'), hash('sha1', body))
        for (const algorithm of ['md5', 'sha1', 'sha256', 'sha512'])
          assert.equal(await text(await read(place, `${APP}/maven-metadata.xml.${algorithm}`)), hash(algorithm, body))
        const etag = reply.headers.get('etag') ?? ''
        const again = await read(place, `${APP}/maven-metadata.xml`, 'readFrom', { 'if-none-match': etag })
        assert.equal(again.status, 304)
      },
    },
    {
      name: 'the metadata of a snapshot names the newest build of each file',
      run: async (place) => {
        const body = await text(await read(place, `${SNAPSHOT}/maven-metadata.xml`))
        assert.match(body, /<version>1\.1-SNAPSHOT<\/version>/)
        assert.match(body, /<timestamp>20261120\.052440<\/timestamp>\s*<buildNumber>10<\/buildNumber>/)
        const rows = [...body.matchAll(/<snapshotVersion>(.*?)<\/snapshotVersion>/gs)].map(([, row = '']) =>
          row.replace(/\s/g, ''),
        )
        const row = (classifier: string, extension: string, build: string, updated: string) =>
          `${classifier && `<classifier>${classifier}</classifier>`}<extension>${extension}</extension><value>1.1-${build}</value><updated>${updated}</updated>`
        assert.deepEqual(rows.sort(), [
          row('sources', 'jar', '20261120.042440-1', '20261120042440'),
          row('', 'jar', '20261120.052440-10', '20261120052440'),
          row('', 'pom', '20261120.052440-10', '20261120052440'),
        ])
        assert.equal(await text(await read(place, `${SNAPSHOT}/maven-metadata.xml.sha1`)), hash('sha1', body))
      },
    },
    {
      name: 'a snapshot without a build is the newest of its builds',
      hosted: true,
      run: async (place) => {
        const reply = await read(place, `${SNAPSHOT}/lib-1.1-SNAPSHOT.jar`)
        assert.match(reply.headers.get('cache-control') ?? '', /no-cache/)
        assert.equal(await text(reply), `jar of ${BUILDS[2]}`)
        const sum = await text(await read(place, `${SNAPSHOT}/lib-1.1-SNAPSHOT.jar.sha1`))
        assert.equal(sum, hash('sha1', `jar of ${BUILDS[2]}`))
        assert.equal(await text(await read(place, `${SNAPSHOT}/lib-1.1-SNAPSHOT-sources.jar`)), 'sources')
        assert.equal((await read(place, `${SNAPSHOT}/lib-1.1-SNAPSHOT.war`)).status, 404)
        for (const build of BUILDS)
          assert.equal(await text(await read(place, `${SNAPSHOT}/lib-1.1-${build}.jar`)), `jar of ${build}`)
      },
    },
    {
      name: 'snapshots that were sent without a build have builds like others',
      run: async (place) => {
        const path = '/org/matrix/sbt/1-SNAPSHOT'
        assert.equal(await text(await read(place, `${path}/sbt-1-SNAPSHOT.jar`)), 'two')
        const body = await text(await read(place, `${path}/maven-metadata.xml`))
        const [, timestamp] = /<timestamp>(\d{8}\.\d{6})<\/timestamp>\s*<buildNumber>2<\/buildNumber>/.exec(body) ?? []
        assert.equal(await text(await read(place, `${path}/sbt-1-${timestamp}-2.jar`)), 'two')
      },
    },
    {
      name: 'the metadata of a group names its plugins',
      hosted: true,
      run: async (place) => {
        const body = await text(await read(place, '/org/matrix/plugins/maven-metadata.xml'))
        assert.match(
          body.replace(/\s*\n\s*/g, ''),
          /<plugins><plugin><name>The hi plugin<\/name><prefix>hi<\/prefix><artifactId>hello-maven-plugin<\/artifactId><\/plugin><\/plugins>/,
        )
        assert.deepEqual(versionsIn(body), ['7'])
        const versions = versionsIn(await text(await read(place, `${PLUGIN}/maven-metadata.xml`)))
        assert.deepEqual(versions, ['1.0', '1.1', '1.2', '2.0'])
        for (const path of ['/org/maven-metadata.xml', '/org/matrix/maven-metadata.xml', '/maven-metadata.xml'])
          assert.equal((await read(place, path)).status, 404, path)
      },
    },
    {
      name: 'folders are listed',
      hosted: true,
      run: async (place) => {
        const reply = await read(place, `${APP}/1.0/`, 'readFrom', { accept: 'application/json' })
        const { files } = (await reply.json()) as { files: { name: string }[] }
        assert.ok(files.some(({ name }) => name === 'app-1.0.pom'))
      },
    },
  ],
  refusals: [
    {
      name: 'deploys wait for the primary, and are told so',
      run: async (place) => {
        for (const path of [`${APP}/5.0/app-5.0.jar`, `${APP}/maven-metadata.xml`]) {
          const reply = await put(place, path, content)
          assert.equal(reply.status, 503)
          assert.ok(Number(reply.headers.get('retry-after')) > 0)
          assert.ok(((await reply.json()) as { detail: string }).detail.length > 10)
        }
        assert.equal((await send(place, `${APP}/1.0/app-1.0.jar`, { method: 'DELETE' })).status, 503)
        assert.equal((await read(place, `${APP}/1.0/app-1.0.jar`)).status, 200)
      },
    },
  ],
}

async function stored(
  place: Place,
  path: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
): Promise<void> {
  const reply = await put(place, path, body, headers)
  if (reply.status !== 201) assert.fail(`PUT ${path}: ${reply.status} ${await reply.text()}`)
}

function put(place: Place, path: string, body: string | Buffer, headers: Record<string, string> = {}) {
  return send(place, path, { method: 'PUT', body, headers })
}

function read(
  place: Place,
  path: string,
  where: 'readFrom' | 'writeTo' = 'readFrom',
  headers: Record<string, string> = {},
): Promise<Response> {
  return send(place, path, { headers }, where)
}

function send(
  place: Place,
  path: string,
  init: SendOptions,
  where: 'readFrom' | 'writeTo' = 'writeTo',
): Promise<Response> {
  return place.send(place[where] + path, {
    ...init,
    headers: { authorization: place.authorization, ...init.headers },
  })
}

async function text(reply: Response): Promise<string> {
  assert.equal(reply.status, 200)
  return reply.text()
}

function versionsIn(metadata: string): string[] {
  return [...metadata.matchAll(/<version>(.*?)<\/version>/g)].map(([, version = '']) => version)
}

function hash(algorithm: string, bytes: string | Buffer): string {
  return createHash(algorithm).update(bytes).digest('hex')
}
