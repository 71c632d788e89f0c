/** Which pieces of a blob somebody has. On the wire: bit i is bit 7 - i % 8 of byte i / 8, bits beyond the last piece are 0. */
export class Bitmap {
  readonly size: number
  readonly #bytes: Uint8Array
  #count = 0

  constructor(size: number) {
    this.size = size
    this.#bytes = new Uint8Array(Math.ceil(size / 8))
  }

  /** undefined unless it has exactly the bytes that `size` pieces take; bits beyond the last piece are ignored. */
  static parse(bytes: Uint8Array, size: number): Bitmap | undefined {
    if (bytes.length !== Math.ceil(size / 8)) return undefined
    const map = new Bitmap(size)
    for (let piece = 0; piece < size; piece++) if (((bytes[piece >> 3] ?? 0) >> (7 - (piece & 7))) & 1) map.add(piece)
    return map
  }

  get count(): number {
    return this.#count
  }

  get full(): boolean {
    return this.#count === this.size
  }

  has(piece: number): boolean {
    return (((this.#bytes[piece >> 3] ?? 0) >> (7 - (piece & 7))) & 1) === 1
  }

  /** False when it was there already, or is no piece of the blob. */
  add(piece: number): boolean {
    if (!Number.isInteger(piece) || piece < 0 || piece >= this.size || this.has(piece)) return false
    this.#bytes[piece >> 3] = (this.#bytes[piece >> 3] ?? 0) | (1 << (7 - (piece & 7)))
    this.#count++
    return true
  }

  /** False when it was not there. */
  remove(piece: number): boolean {
    if (piece < 0 || piece >= this.size || !this.has(piece)) return false
    this.#bytes[piece >> 3] = (this.#bytes[piece >> 3] ?? 0) & ~(1 << (7 - (piece & 7)))
    this.#count--
    return true
  }

  fill(): void {
    for (let piece = 0; piece < this.size; piece++) this.add(piece)
  }

  toBytes(): Uint8Array {
    return Uint8Array.from(this.#bytes)
  }
}
