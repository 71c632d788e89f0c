/** Sixty wheels, each pinned: `pip install --no-deps`. */
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Locked, type Project, reason, runs } from './project.js'

/** Without what is compiled for one Python only, and small enough that the index counts. */
const NAMES =
  'requests urllib3 certifi idna charset-normalizer click flask jinja2 werkzeug itsdangerous blinker markupsafe packaging six python-dateutil pytz tzdata attrs jsonschema referencing pyyaml rich pygments markdown-it-py mdurl typer shellingham httpx httpcore h11 anyio sniffio starlette fastapi uvicorn sqlalchemy alembic mako tomli tomlkit pluggy iniconfig pytest coverage tqdm colorama tabulate boto3 botocore s3transfer jmespath docutils sphinx babel imagesize networkx sympy mpmath django'.split(
    ' ',
  )
const QUIET = ['--no-deps', '--only-binary', ':all:', '--no-cache-dir', '--quiet', '--disable-pip-version-check']
/** A folder of wheels beside the index would answer instead of it. */
const ENVIRONMENT = { PIP_FIND_LINKS: undefined }
const DEFAULT_INDEX = 'from pip._internal.models.index import PyPI; print(PyPI.simple_url)'

export const pip: Project = { name: 'pip install', format: 'pypi', lock }

async function lock(folder: string): Promise<Locked | { missing: string }> {
  try {
    const index = await indexUrl(folder)
    const wheels = join(folder, 'wheels')
    await runs('pip', ['download', ...QUIET, '--dest', wheels, ...NAMES], { cwd: folder, env: ENVIRONMENT })
    const pins = (await readdir(wheels)).map((file) => file.split('-').slice(0, 2).join('=='))
    const requirements = join(folder, 'requirements.txt')
    await writeFile(requirements, `${pins.join('\n')}\n`)
    return {
      upstream: new URL('..', index.endsWith('/') ? index : `${index}/`).href,
      packages: pins.length,
      install: async (empty, url) => {
        const from = ['--index-url', url === undefined ? index : `${url}/simple/`]
        const into = ['--no-compile', '--target', join(empty, 'site'), '-r', requirements]
        await runs('pip', ['install', ...QUIET, ...from, ...into], { cwd: empty, env: ENVIRONMENT })
      },
    }
  } catch (error) {
    return reason(error)
  }
}

/** What pip is set to use, or else what it uses of its own accord. */
async function indexUrl(cwd: string): Promise<string> {
  const asked = await runs('pip', ['config', 'get', 'global.index-url'], { cwd }).catch(() => '')
  return (process.env.PIP_INDEX_URL ?? asked.trim()) || (await runs('python3', ['-c', DEFAULT_INDEX], { cwd })).trim()
}
