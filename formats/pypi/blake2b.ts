/**
 * BLAKE2b with a digest of 32 bytes (RFC 7693), which clients send with uploads and OpenSSL cannot compute: its own
 * BLAKE2b has 64 bytes only, of which the first half is another hash. 64-bit words are pairs of 32-bit ones, low half first.
 */
export class Blake2b256 {
  readonly #state = Int32Array.from(IV)
  readonly #block = new Uint8Array(BLOCK)
  /** The same bytes: what Node runs on here is little-endian, as the hash is. */
  readonly #words = new Int32Array(this.#block.buffer)
  #filled = 0
  #length = 0

  constructor() {
    // Parameter block: 32 bytes of digest, no key, fan-out and depth 1.
    this.#state[0] = (this.#state[0] ?? 0) ^ 0x01010020
  }

  update(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      // The last block is marked as such, so a full one waits until more comes.
      if (this.#filled === BLOCK) this.#compress(false)
      const part = bytes.subarray(at, at + BLOCK - this.#filled)
      this.#block.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
    }
  }

  /** Lowercase hexadecimal. Ends the hash. */
  digest(): string {
    this.#block.fill(0, this.#filled)
    this.#compress(true)
    const out = Buffer.alloc(32)
    for (let i = 0; i < 8; i++) out.writeInt32LE(this.#state[i] ?? 0, i * 4)
    return out.toString('hex')
  }

  #compress(isLast: boolean): void {
    this.#length += this.#filled
    this.#filled = 0
    const { low, high } = { low: this.#length | 0, high: Math.floor(this.#length / 2 ** 32) }
    V.set(this.#state)
    V.set(IV, 16)
    V[24] = (V[24] ?? 0) ^ low
    V[25] = (V[25] ?? 0) ^ high
    if (isLast) {
      V[28] = ~(V[28] ?? 0)
      V[29] = ~(V[29] ?? 0)
    }
    M.set(this.#words)
    for (let round = 0; round < 12; round++) mixAll((round % 10) * 16)
    for (let i = 0; i < 16; i++) this.#state[i] = (this.#state[i] ?? 0) ^ (V[i] ?? 0) ^ (V[i + 16] ?? 0)
  }
}

const BLOCK = 128
/** RFC 7693 section 2.6. */
const IV = Int32Array.of(
  0xf3bcc908,
  0x6a09e667,
  0x84caa73b,
  0xbb67ae85,
  0xfe94f82b,
  0x3c6ef372,
  0x5f1d36f1,
  0xa54ff53a,
  0xade682d1,
  0x510e527f,
  0x2b3e6c1f,
  0x9b05688c,
  0xfb41bd6b,
  0x1f83d9ab,
  0x137e2179,
  0x5be0cd19,
)
/** RFC 7693 section 2.7, of which each digit is the number of a message word. */
const SIGMA = Uint8Array.from(
  [
    '0123456789abcdef',
    'ea489fd61c02b753',
    'b8c052fdae367194',
    '7931dcbe265a40f8',
    '905724afe1bc683d',
    '2c6a0b834d75fe19',
    'c51fed4a0763928b',
    'db7ec13950f4862a',
    '6fe9b308c2d714a5',
    'a2847615fb9e3cd0',
  ].flatMap((row) => row.split('').map((digit) => Number.parseInt(digit, 16))),
)
/** Shared: nothing waits while one block is worked on. */
const V = new Int32Array(32)
const M = new Int32Array(32)

function mixAll(at: number): void {
  mix(0, 8, 16, 24, at)
  mix(2, 10, 18, 26, at + 2)
  mix(4, 12, 20, 28, at + 4)
  mix(6, 14, 22, 30, at + 6)
  mix(0, 10, 20, 30, at + 8)
  mix(2, 12, 22, 24, at + 10)
  mix(4, 14, 16, 26, at + 12)
  mix(6, 8, 18, 28, at + 14)
}

/** Numbers are kept within 32 bits with a sign, which is what makes this fast. */
function mix(a: number, b: number, c: number, d: number, at: number): void {
  const x = (SIGMA[at] ?? 0) * 2
  const y = (SIGMA[at + 1] ?? 0) * 2
  let al = V[a] ?? 0
  let ah = V[a + 1] ?? 0
  let bl = V[b] ?? 0
  let bh = V[b + 1] ?? 0
  let cl = V[c] ?? 0
  let ch = V[c + 1] ?? 0
  let dl = V[d] ?? 0
  let dh = V[d + 1] ?? 0
  let low = (al >>> 0) + (bl >>> 0) + ((M[x] ?? 0) >>> 0)
  ah = (ah + bh + (M[x + 1] ?? 0) + carry(low)) | 0
  al = low | 0
  // d ^= a, turned by 32 bits
  let turned = dl ^ al
  dl = dh ^ ah
  dh = turned
  low = (cl >>> 0) + (dl >>> 0)
  ch = (ch + dh + carry(low)) | 0
  cl = low | 0
  // b ^= c, turned by 24 bits
  turned = bl ^ cl
  bh ^= ch
  bl = (turned >>> 24) | (bh << 8)
  bh = (bh >>> 24) | (turned << 8)
  low = (al >>> 0) + (bl >>> 0) + ((M[y] ?? 0) >>> 0)
  ah = (ah + bh + (M[y + 1] ?? 0) + carry(low)) | 0
  al = low | 0
  // d ^= a, turned by 16 bits
  turned = dl ^ al
  dh ^= ah
  dl = (turned >>> 16) | (dh << 16)
  dh = (dh >>> 16) | (turned << 16)
  low = (cl >>> 0) + (dl >>> 0)
  ch = (ch + dh + carry(low)) | 0
  cl = low | 0
  // b ^= c, turned by 63 bits
  turned = bl ^ cl
  bh ^= ch
  bl = (turned << 1) | (bh >>> 31)
  bh = (bh << 1) | (turned >>> 31)
  V[a] = al
  V[a + 1] = ah
  V[b] = bl
  V[b + 1] = bh
  V[c] = cl
  V[c + 1] = ch
  V[d] = dl
  V[d + 1] = dh
}

function carry(sum: number): number {
  return (sum / 0x1_0000_0000) | 0
}
