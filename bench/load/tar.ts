/** A small ustar archive, gzipped: what `npm pack` makes. */
import { gzipSync } from 'node:zlib'

const BLOCK = 512

export function tgz(files: readonly { path: string; content: Buffer }[], level = 1): Buffer {
  const parts = files.flatMap(({ path, content }) => [
    header(path, content.length),
    content,
    Buffer.alloc(-content.length & (BLOCK - 1)),
  ])
  return gzipSync(Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]), { level })
}

/** POSIX.1-1988 ustar: name 0, mode 100, uid 108, gid 116, size 124, mtime 136, checksum 148, type 156, magic 257. */
function header(path: string, size: number): Buffer {
  const block = Buffer.alloc(BLOCK)
  block.write(path, 0, 100)
  block.write('0000644\0', 100)
  block.write('0000000\0', 108)
  block.write('0000000\0', 116)
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  block.write('03560116604\0', 136)
  block.write('        ', 148)
  block.write('0', 156)
  block.write('ustar\x0000', 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}
