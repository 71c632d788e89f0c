/**
 * BLAKE2b with a digest of 32 bytes (RFC 7693), which clients send with uploads and OpenSSL cannot compute: its own
 * BLAKE2b has 64 bytes only, of which the first half is another hash. 64-bit words are pairs of 32-bit ones, low half first.
 */
export class Blake2b256 {
  readonly #state = Uint32Array.from(IV)
  readonly #block = Buffer.alloc(BLOCK)
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
    for (let i = 0; i < 8; i++) out.writeUInt32LE(this.#state[i] ?? 0, i * 4)
    return out.toString('hex')
  }

  #compress(isLast: boolean): void {
    this.#length += this.#filled
    this.#filled = 0
    const { low, high } = { low: this.#length >>> 0, high: Math.floor(this.#length / 2 ** 32) }
    V.set(this.#state)
    V.set(IV, 16)
    V[24] = (V[24] ?? 0) ^ low
    V[25] = (V[25] ?? 0) ^ high
    if (isLast) {
      V[28] = ~(V[28] ?? 0)
      V[29] = ~(V[29] ?? 0)
    }
    for (let i = 0; i < 32; i++) M[i] = this.#block.readUInt32LE(i * 4)
    for (let round = 0; round < 12; round++) mixAll((round % 10) * 16)
    for (let i = 0; i < 16; i++) this.#state[i] = (this.#state[i] ?? 0) ^ (V[i] ?? 0) ^ (V[i + 16] ?? 0)
  }
}

const BLOCK = 128
/** RFC 7693 section 2.6. */
const IV = Uint32Array.of(
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
  ].flatMap((row) => [...row].map((digit) => Number.parseInt(digit, 16))),
)
/** Shared: nothing waits while one block is worked on. */
const V = new Uint32Array(32)
const M = new Uint32Array(32)

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

function mix(a: number, b: number, c: number, d: number, at: number): void {
  const x = (SIGMA[at] ?? 0) * 2
  const y = (SIGMA[at + 1] ?? 0) * 2
  add(a, V[b] ?? 0, V[b + 1] ?? 0)
  add(a, M[x] ?? 0, M[x + 1] ?? 0)
  turn(d, a, 32)
  add(c, V[d] ?? 0, V[d + 1] ?? 0)
  turn(b, c, 24)
  add(a, V[b] ?? 0, V[b + 1] ?? 0)
  add(a, M[y] ?? 0, M[y + 1] ?? 0)
  turn(d, a, 16)
  add(c, V[d] ?? 0, V[d + 1] ?? 0)
  turn(b, c, 63)
}

function add(to: number, low: number, high: number): void {
  const sum = (V[to] ?? 0) + low
  V[to + 1] = (V[to + 1] ?? 0) + high + (sum > 0xffffffff ? 1 : 0)
  V[to] = sum
}

/** Combined with `by` and rotated right by so many bits. */
function turn(at: number, by: number, bits: 16 | 24 | 32 | 63): void {
  const low = (V[at] ?? 0) ^ (V[by] ?? 0)
  const high = (V[at + 1] ?? 0) ^ (V[by + 1] ?? 0)
  if (bits === 32) {
    V[at] = high
    V[at + 1] = low
  } else if (bits === 63) {
    V[at] = (low << 1) | (high >>> 31)
    V[at + 1] = (high << 1) | (low >>> 31)
  } else {
    V[at] = (low >>> bits) | (high << (32 - bits))
    V[at + 1] = (high >>> bits) | (low << (32 - bits))
  }
}
