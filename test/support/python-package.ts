/** Python distributions, and the forms that clients upload them with, for tests. */
import { createHash } from 'node:crypto'
import { tgz } from './tar-writer.js'
import { zip } from './zip-writer.js'

export interface Project {
  name: string
  version: string
  requiresPython?: string
  requires?: string[]
  summary?: string
}

export interface Upload {
  file: string
  bytes: Buffer
  kind: 'bdist_wheel' | 'sdist'
  project: Project
}

/** A wheel of one module, whose `value` is its version. */
export function wheel(project: Project, { file = wheelName(project), metadata = metadataOf(project) } = {}): Upload {
  const stem = `${moduleOf(project)}-${project.version}`
  const contents = [
    { name: `${moduleOf(project)}.py`, content: `value = ${JSON.stringify(project.version)}\n` },
    { name: `${stem}.dist-info/METADATA`, content: metadata },
    {
      name: `${stem}.dist-info/WHEEL`,
      content: 'Wheel-Version: 1.0\nGenerator: cairn-test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    },
  ]
  const record = contents.map(({ name, content }) => {
    const hash = createHash('sha256').update(content).digest('base64url')
    return `${name},sha256=${hash},${Buffer.byteLength(content)}\n`
  })
  const recordFile = { name: `${stem}.dist-info/RECORD`, content: `${record.join('')}${stem}.dist-info/RECORD,,\n` }
  return { file, bytes: zip([...contents, recordFile]), kind: 'bdist_wheel', project }
}

/** A source archive that brings what builds it along, so that building it needs no other package. */
export function sdist(project: Project, { metadata = metadataOf(project), more = '' } = {}): Upload {
  const module = moduleOf(project)
  const stem = `${module}-${project.version}`
  const system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
  const bytes = tgz([
    { name: `${stem}/`, type: '5' },
    { name: `${stem}/PKG-INFO`, content: metadata },
    { name: `${stem}/pyproject.toml`, content: system },
    { name: `${stem}/backend.py`, content: backendOf(project) + more },
    { name: `${stem}/${module}.py`, content: `value = ${JSON.stringify(project.version)}\n` },
  ])
  return { file: `${stem}.tar.gz`, bytes, kind: 'sdist', project }
}

/** PEP 517. */
function backendOf(project: Project): string {
  const module = moduleOf(project)
  const info = `${module}-${project.version}.dist-info`
  const wheelFile = 'Wheel-Version: 1.0\\nGenerator: cairn-test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'
  const record = [`${module}.py`, `${info}/METADATA`, `${info}/WHEEL`, `${info}/RECORD`].map((path) => `${path},,\\n`)
  return `import os, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(os.path.join(folder, '${wheelName(project)}'), 'w') as wheel:
        for path, name in [('${module}.py', '${module}.py'), ('PKG-INFO', '${info}/METADATA')]:
            wheel.writestr(name, open(path).read())
        wheel.writestr('${info}/WHEEL', '${wheelFile}')
        wheel.writestr('${info}/RECORD', '${record.join('')}')
    return '${wheelName(project)}'
`
}

export function metadataOf({ name, version, requiresPython, requires = [], summary }: Project): string {
  return [
    'Metadata-Version: 2.1',
    `Name: ${name}`,
    `Version: ${version}`,
    ...(summary ? [`Summary: ${summary}`] : []),
    ...(requiresPython ? [`Requires-Python: ${requiresPython}`] : []),
    ...requires.map((each) => `Requires-Dist: ${each}`),
    'Project-URL: Home, https://example.test/home',
    'Description-Content-Type: text/markdown',
    '',
    `# ${name}\n\nNothing to see: here.\n`,
  ].join('\n')
}

export function moduleOf({ name }: Project): string {
  return name.replace(/[-_.]+/g, '_').toLowerCase()
}

export function wheelName(project: Project): string {
  return `${moduleOf(project)}-${project.version}-py3-none-any.whl`
}

export interface FormOptions {
  /** Replaces or, with undefined, leaves out fields. */
  fields?: Record<string, string | undefined>
  /** Does the file come before the fields. */
  fileFirst?: boolean
}

export const BOUNDARY = '----cairn-test-boundary'
export const FORM_TYPE = `multipart/form-data; boundary=${BOUNDARY}`

/** As twine makes it, or any other way. */
export function uploadForm(
  { file, bytes, kind, project }: Upload,
  { fields = {}, fileFirst = false }: FormOptions = {},
): Buffer {
  const all: Record<string, string | undefined> = {
    ':action': 'file_upload',
    protocol_version: '1',
    metadata_version: '2.1',
    name: project.name,
    version: project.version,
    filetype: kind,
    pyversion: kind === 'sdist' ? 'source' : 'py3',
    md5_digest: createHash('md5').update(bytes).digest('hex'),
    sha256_digest: createHash('sha256').update(bytes).digest('hex'),
    ...fields,
  }
  const parts = Object.entries(all).flatMap(([name, value]) =>
    value === undefined ? [] : [part(`form-data; name="${name}"`, Buffer.from(value))],
  )
  const content = part(`form-data; name="content"; filename="${file}"`, bytes, 'application/octet-stream')
  return form(fileFirst ? [content, ...parts] : [...parts, content])
}

export function part(disposition: string, content: Buffer, type?: string): Buffer {
  const header = `Content-Disposition: ${disposition}\r\n${type ? `Content-Type: ${type}\r\n` : ''}\r\n`
  return Buffer.concat([Buffer.from(header), content])
}

export function form(parts: Buffer[]): Buffer {
  const opened = parts.flatMap((each) => [Buffer.from(`--${BOUNDARY}\r\n`), each, Buffer.from('\r\n')])
  return Buffer.concat([...opened, Buffer.from(`--${BOUNDARY}--\r\n`)])
}
