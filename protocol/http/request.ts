/** A request as handlers see it. Only server.ts knows what library it came through. */
export interface HttpRequest {
  /** For X-Request-Id and every log line about it. */
  readonly id: string
  /** Uppercase. */
  readonly method: string
  /** As sent, without the query: neither decoded nor normalised. */
  readonly path: string
  /** Without '?'. */
  readonly query: string
  /** Names in lowercase. A repeated header is joined with ', '. */
  readonly headers: ReadonlyMap<string, string>
  /** Bytes announced by Content-Length; undefined for a chunked body or none. */
  readonly length: number | undefined
  /** Can be iterated once. Ends with an error when the client goes away. */
  readonly body: AsyncIterable<Uint8Array>
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal
  /** Address of the client, forwarded headers taken into account only from trusted proxies. */
  readonly remote: string
  /** Scheme and authority for absolute URLs, no slash at the end: a configured public URL, never an unchecked Host. */
  readonly origin: string
}

/** The same request as seen from elsewhere: a node that forwards it says from where it came and how the node is reached. */
export function seenFrom(request: HttpRequest, view: { origin: string; remote: string }): HttpRequest {
  return {
    id: request.id,
    method: request.method,
    path: request.path,
    query: request.query,
    headers: request.headers,
    length: request.length,
    get body() {
      return request.body
    },
    get signal() {
      return request.signal
    },
    ...view,
  }
}
