/**
 * Maven repositories, as mvn, Gradle, sbt and Ivy speak to them: files under Maven's layout, and metadata that is made from
 * records. Releases are written once; builds of snapshots are added without limit.
 */
import { type Format, read, write } from '../protocol/format.js'
import { problem } from '../protocol/http/status.js'
import { get } from './maven/get.js'
import { folderOf } from './maven/layout.js'
import { lock } from './maven/lock.js'
import { SETTINGS } from './maven/policy.js'
import { put } from './maven/put.js'
import { remove } from './maven/remove.js'
import { upkeep } from './maven/upkeep.js'
import { upstream } from './maven/upstream.js'
import { compareVersions } from './maven/version-order.js'

export const maven: Format = {
  name: 'maven',
  hashes: ['md5', 'sha1', 'sha512'],
  routes: [
    read('/:path*', get), //
    write('PUT', '/:path*', put),
    write('DELETE', '/:path*', remove, { action: 'delete' }),
  ],
  /** Maven 3.9 takes a 404 with problem+json for a failed transfer, not for something that is not there. */
  error: (error, status, request) =>
    status === 404
      ? { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: `${error.message}\n` }
      : problem(error, request),
  upstream,
  settings: SETTINGS,
  upkeep,
  grammar: { path: folderOf, compare: compareVersions },
  lock,
  // MAVEN_ARGS is read since Maven 3.9.
  environment: ({ base, key, token, folder }) => ({
    variables: { MAVEN_ARGS: `-s ${folder}/settings.xml` },
    files: { 'settings.xml': settingsXml(base, key, token) },
  }),
  snippet: ({ base, key }) =>
    [
      `<server><id>${key}</id><username>YOU</username><password>YOUR-TOKEN</password></server>   <!-- ~/.m2/settings.xml -->`,
      `<repository><id>${key}</id><url>${base}</url></repository>   <!-- pom.xml, under <repositories> -->`,
      `mvn deploy -DaltDeploymentRepository=${key}::default::${base}`,
      `maven { url = uri("${base}") }   // build.gradle.kts, under repositories`,
    ].join('\n'),
}

/** Settings that make one repository the mirror of all. */
function settingsXml(base: string, key: string, token: string | undefined): string {
  const server =
    token === undefined
      ? ''
      : `<servers><server><id>${key}</id><username>token</username><password>${token}</password></server></servers>`
  const mirror = `<mirrors><mirror><id>${key}</id><mirrorOf>*</mirrorOf><url>${base}</url></mirror></mirrors>`
  return `<settings>${server}${mirror}</settings>\n`
}
