/** A lock file of about three hundred crates: `cargo fetch --locked`. */
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Locked, type Project, reason, runs } from './project.js'

const MANIFEST = `[package]
name = "tree"
version = "1.0.0"
edition = "2021"
[dependencies]
actix-web = "4"
clap = { version = "4", features = ["derive"] }
reqwest = "0.12"
sqlx = { version = "0.8", features = ["postgres", "runtime-tokio"] }
tracing-subscriber = "0.3"
`

export const cargo: Project = { name: 'cargo fetch', format: 'cargo', lock }

async function lock(folder: string): Promise<Locked | { missing: string }> {
  try {
    await writeProject(folder)
    const home = await newHome(folder)
    await runs('cargo', ['generate-lockfile'], { cwd: folder, env: environment(home) })
    const text = await readFile(join(folder, 'Cargo.lock'), 'utf8')
    const packages = text.split('[[package]]').length - 2
    return {
      upstream: await indexUsed(home),
      packages,
      install: async (empty, url) => {
        await writeProject(empty)
        await writeFile(join(empty, 'Cargo.lock'), text)
        const env = environment(await newHome(empty))
        await runs('cargo', ['fetch', '--locked', ...(url === undefined ? [] : from(url))], { cwd: empty, env })
      },
    }
  } catch (error) {
    return reason(error)
  }
}

async function writeProject(folder: string): Promise<void> {
  await mkdir(join(folder, 'src'), { recursive: true })
  await writeFile(join(folder, 'Cargo.toml'), MANIFEST)
  await writeFile(join(folder, 'src', 'main.rs'), 'fn main() {}\n')
}

/** Nothing cached, and the machine's own settings. */
async function newHome(folder: string): Promise<string> {
  const home = join(folder, 'cargo-home')
  await mkdir(home)
  const settings = join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'config.toml')
  await cp(settings, join(home, 'config.toml')).catch(() => undefined)
  return home
}

function environment(home: string): Record<string, string> {
  return { CARGO_HOME: home, CARGO_TERM_QUIET: 'true' }
}

/** Cargo names the folder of an index after the host that it has it from. */
async function indexUsed(home: string): Promise<string> {
  const [folder = ''] = await readdir(join(home, 'registry', 'index'))
  return `https://${folder.replace(/-[0-9a-f]{16}$/, '')}/`
}

function from(url: string): string[] {
  return ['source.crates-io.replace-with="node"', `source.node.registry="sparse+${url}/"`].flatMap((setting) => [
    '--config',
    setting,
  ])
}
