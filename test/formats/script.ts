/**
 * What a format's script is made of. The same steps run in memory (matrix.test.ts) and against real processes: whoever runs
 * them only says where to write, where to read, and how requests are sent.
 */
export interface Place {
  /** URL of a local repository, as clients write to it (at the primary or at a node); no slash at the end. */
  writeTo: string
  /** URL of the same repository, or of a virtual one that it is a member of, as clients read from it. */
  readFrom: string
  send: Send
  /** Authorization header of a user who may do everything in the local repository. */
  authorization: string
  user: { name: string; password: string }
}

export type Send = (url: string, init?: SendOptions) => Promise<Response>

export interface SendOptions {
  method?: string
  headers?: Record<string, string>
  body?: string | Uint8Array
  redirect?: 'manual'
}

export interface Step {
  name: string
  /** Of what only the place of publication knows: searches, lists of everything, owners, what was never there. Not for remote repositories. */
  hosted?: true
  run(place: Place): Promise<void>
}

/** Steps run in order; later ones rely on what earlier ones left behind. */
export interface Script {
  format: string
  /** Behind a local repository's URL: what is pasted as the upstream of a remote one. Without it there are no remote repositories. */
  upstream?: string
  /** Everything that changes something, checked where it was written. Needs the primary. */
  writes: Step[]
  /** What must then be readable everywhere, also cut off. */
  reads: Step[]
  /** What a place that is cut off must refuse: 503 with Retry-After and a sentence, and no change. */
  refusals: Step[]
}

/** A GET as the user who may do everything. */
export function read(
  place: Place,
  path: string,
  from: 'readFrom' | 'writeTo' = 'readFrom',
  headers: Record<string, string> = {},
): Promise<Response> {
  return place.send(place[from] + path, { headers: { authorization: place.authorization, ...headers } })
}
