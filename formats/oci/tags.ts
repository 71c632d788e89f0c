/** GET /{name}/tags/list: all tags in ASCII order, or a page of them. */
import type { Call } from '../../protocol/format.js'
import type { Reply } from '../../protocol/http/reply.js'
import { failure, VERSION_HEADER } from './failure.js'
import { checkName } from './name.js'
import { inOrder, linkTo, pageAsked, pageOf } from './page.js'
import { viewOf } from './view.js'

/** Clients that do not ask for a page expect everything. */
const ALL = 100_000

export async function listTags(call: Call<{ name: string }>): Promise<Reply> {
  const { repository, request, params } = call
  const name = checkName(params.name)
  const asked = pageAsked(new URLSearchParams(request.query), ALL)
  const { prefix, before } = viewOf(call)
  return call.index(name, `tags ${prefix} ${asked.n} ${asked.last}`, async () => {
    const known = await repository.package(name)
    if (!known) throw failure('missing', 'NAME_UNKNOWN', `There is no image ${name} in ${repository.key}`)
    const { entries, next } = pageOf(Object.keys(await repository.tags(name)).sort(inOrder), asked)
    const link = next ? { link: linkTo(`${prefix}/${name}/tags/list`, asked, entries.at(-1) ?? '') } : {}
    return {
      contentType: 'application/json',
      body: JSON.stringify({ name: before + name, tags: entries }),
      modified: known.modified,
      headers: { ...VERSION_HEADER, ...link },
    }
  })
}
