/** One byte range out of a Range header (RFC 9110, section 14). Several ranges are answered as if none were asked. */
export interface ByteRange {
  start: number
  /** Exclusive. */
  end: number
}

/** 'all': send everything. 'none': nothing of what was asked exists. */
export function rangeOf(header: string, size: number): ByteRange | 'all' | 'none' {
  // "A server MAY ignore the Range header field" (14.2): odd syntax, other units and several ranges, by which old
  // servers were made to send the same bytes a thousand times.
  const match = /^bytes=(\d*)-(\d*)$/i.exec(header.trim())
  if (match === null) return 'all'
  const [, first = '', last = ''] = match
  if (first === '') return last === '' ? 'all' : suffix(Number(last), size)
  // "An int-range is invalid if the last-pos value is present and less than first-pos." (14.1.1)
  if (last !== '' && Number(last) < Number(first)) return 'all'
  if (Number(first) >= size) return 'none'
  // "If the last-pos value is absent, or if the value is greater than or equal to the current length of the
  // representation data, the byte range is interpreted as the remainder" (14.1.2)
  return { start: Number(first), end: last === '' ? size : Math.min(size, Number(last) + 1) }
}

function suffix(length: number, size: number): ByteRange | 'all' | 'none' {
  if (length === 0) return 'none'
  // Of nothing, there is no first byte that a Content-Range could name.
  return size === 0 ? 'all' : { start: Math.max(0, size - length), end: size }
}
