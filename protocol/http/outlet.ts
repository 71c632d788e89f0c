/** What this folder uses of the library's response object. It is dead after `end`, `close` or `onAborted`: a touch throws. */
export interface Outlet {
  writeStatus(status: string): unknown
  writeHeader(name: string, value: string): unknown
  /** Chunked; copies what the kernel does not take. False: wait for `onWritable`. */
  write(chunk: string | Uint8Array): boolean
  end(body?: string | Uint8Array, close?: boolean): unknown
  /** Nothing is added to the headers that were written. */
  endWithoutBody(): unknown
  /** Copies nothing. [all of the chunk was taken, the response is complete]. An empty chunk would end the response. */
  tryEnd(chunk: Uint8Array, total: number): [boolean, boolean]
  getWriteOffset(): number
  onWritable(ready: (offset: number) => boolean): unknown
  onAborted(gone: () => void): unknown
  /** The chunk is valid inside the callback only. */
  onData(receive: (chunk: ArrayBuffer, last: boolean) => void): unknown
  getRemoteAddress(): ArrayBuffer
  cork(write: () => void): unknown
  pause(): void
  resume(): void
  close(): unknown
}
