/** A tar.gz archive that is looked into while its bytes pass by on their way into the store. */
import { type InflateLimits, Inflater } from './gunzip.js'
import { type TarLimits, TarReader, type TarVisitor } from './tar.js'

export interface TgzLimits {
  inflate: InflateLimits
  tar: TarLimits
}

/** For a package's sources: nobody publishes more than 8 GiB of them, nor what packs a hundredfold once it is large. */
const SOURCES: TgzLimits = {
  inflate: { bytes: 8 * 1024 ** 3, ratio: 100, ratioFrom: 16 * 1024 * 1024 },
  tar: { entries: 200_000, name: 4096 },
}

/**
 * The same bytes again; it ends only when the archive is whole and in order. Throws `invalid`, and what the visitor threw: then the
 * transfer ends, so that nothing of it is kept.
 */
export async function* watchTgz(
  body: AsyncIterable<Uint8Array>,
  visitor: TarVisitor,
  limits: TgzLimits = SOURCES,
): AsyncGenerator<Uint8Array, void, undefined> {
  const tar = new TarReader(visitor, limits.tar)
  const inflater = new Inflater((bytes) => tar.write(bytes), limits.inflate)
  try {
    for await (const chunk of body) {
      await inflater.write(chunk)
      yield chunk
    }
    await inflater.end()
    tar.end()
  } finally {
    inflater.close()
  }
}
