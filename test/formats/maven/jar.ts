/** Zip archives for tests: entries as given, so that what is wrong in them is as wrong as it should be. */
import { crc32, deflateRawSync } from 'node:zlib'

export interface JarEntry {
  name: string
  content: string | Buffer
  /** What the directory says, where it should lie. */
  says?: { size?: number; crc?: number; method?: number; flags?: number; name?: string }
  stored?: boolean
}

export function jar(entries: JarEntry[], comment = ''): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const { name, content, says = {}, stored = false } of entries) {
    const bytes = Buffer.from(content)
    const packed = stored ? bytes : deflateRawSync(bytes)
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(says.flags ?? 0, 2)
    fields.writeUInt16LE(says.method ?? (stored ? 0 : 8), 4)
    fields.writeUInt32LE(says.crc ?? crc32(bytes), 10)
    fields.writeUInt32LE(packed.length, 14)
    fields.writeUInt32LE(says.size ?? bytes.length, 18)
    fields.writeUInt16LE(Buffer.byteLength(name), 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), packed])
    const said = says.name ?? name
    fields.writeUInt16LE(Buffer.byteLength(said), 22)
    const more = Buffer.alloc(14)
    more.writeUInt32LE(at, 10)
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.alloc(2), fields, more, Buffer.from(said)]))
    parts.push(local)
    at += local.length
  }
  const size = directory.reduce((sum, each) => sum + each.length, 0)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(entries.length, 4)
  end.writeUInt16LE(entries.length, 6)
  end.writeUInt32LE(size, 8)
  end.writeUInt32LE(at, 12)
  end.writeUInt16LE(Buffer.byteLength(comment), 16)
  return Buffer.concat([...parts, ...directory, Buffer.from('PK\x05\x06'), end, Buffer.from(comment)])
}

/** A plugin's jar, with the descriptor that Maven looks for. */
export function pluginJar(group: string, artifact: string, prefix: string, version = '1.0'): Buffer {
  const descriptor = `<?xml version="1.0" encoding="UTF-8"?>\n<plugin><name>The ${prefix} plugin</name><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version><goalPrefix>${prefix}</goalPrefix><mojos/></plugin>`
  return jar([
    { name: 'META-INF/MANIFEST.MF', content: 'Manifest-Version: 1.0\n' },
    { name: 'META-INF/maven/plugin.xml', content: descriptor },
  ])
}

export function pom(group: string, artifact: string, version: string, more = ''): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>${more}</project>\n`
}
