/** What people build and run images with: each keeps its images in a folder of its own, and is told the same things. They need root. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tar } from '../support/tar-writer.js'
import { type Client, fails, missing, newHome, program, type RunOptions, run, succeeds } from './client.js'

const START_MS = 30_000

interface Kind {
  client: Client
  /** What keeps its images. It starts not in every container, so its absence is no error in CI. */
  daemon?: Client
  /** Arguments in front of every command. */
  own(folder: string): string[]
  /** Arguments of `login`, `push` and `pull` at a registry without TLS. */
  plain: string[]
  /** Makes an image out of what `start` writes. */
  make(image: string): string[]
}

const containers = {
  own: (folder: string) => ['--root', join(folder, 'images'), '--runroot', join(folder, 'run'), '--storage-driver=vfs'],
  plain: ['--tls-verify=false'],
}

const KINDS: Kind[] = [
  {
    ...containers,
    client: program('buildah'),
    make: (image) => ['build', '--isolation=chroot', '-q', '-t', image, '-f', 'Containerfile', '.'],
  },
  { ...containers, client: program('podman'), make: (image) => ['import', '-q', 'layer.tar', image] },
  {
    client: program('docker'),
    daemon: program('dockerd'),
    own: (folder) => ['-H', `unix://${join(folder, 'socket')}`],
    // It knows that an address of this machine has none.
    plain: [],
    make: (image) => ['import', 'layer.tar', image],
  },
]

/** One of them, between `start` and `close`. */
export class Engine {
  readonly name: string
  readonly only: { skip: string | false }
  /** Why its daemon does not start on this machine. */
  unable: string | undefined
  readonly #kind: Kind
  #options: RunOptions = { cwd: '', home: '' }
  #daemon: ChildProcess | undefined

  constructor(kind: Kind) {
    this.#kind = kind
    this.name = kind.client.name
    this.only =
      kind.daemon && !kind.daemon.command ? { skip: `${kind.daemon.name} is not installed` } : missing(kind.client)
  }

  async start(below: string): Promise<void> {
    this.#options = { cwd: await mkdtemp(join(below, 'image-')), home: await newHome(below) }
    const content = `for ${this.name}\n${'moss '.repeat(1_000_000)}`
    await writeFile(join(this.#options.cwd, 'layer.tar'), tar([{ name: 'hello.txt', content }]))
    await writeFile(join(this.#options.cwd, 'Containerfile'), 'FROM scratch\nADD layer.tar /\n')
    if (this.#kind.daemon?.command) await this.#startDaemon(this.#kind.daemon.command[0])
  }

  async close(): Promise<void> {
    const daemon = this.#daemon
    if (!daemon || !lives(daemon)) return
    const ended = new Promise((resolve) => daemon.once('close', resolve))
    daemon.kill()
    await ended
  }

  /** The image's id, which follows from what is in it. */
  async make(image: string): Promise<string> {
    await this.tell(...this.#kind.make(image))
    return this.id(image)
  }

  async id(image: string): Promise<string> {
    return (await this.tell('images', '--no-trunc', '-q', image)).trim()
  }

  /** All that it keeps. */
  async forget(): Promise<void> {
    const ids = (await this.tell('images', '--no-trunc', '-q')).split('\n').filter((id) => id !== '')
    if (ids.length > 0) await this.tell('rmi', '-f', ...new Set(ids))
  }

  login(host: string, secret: string): Promise<string> {
    return this.tell('login', ...this.#kind.plain, '-u', 'admin', '-p', secret, host)
  }

  move(direction: 'push' | 'pull', image: string): Promise<string> {
    return this.tell(direction, ...this.#kind.plain, image)
  }

  refused(direction: 'push' | 'pull', image: string): Promise<string> {
    return fails(this.#kind.client, [...this.#own(), direction, ...this.#kind.plain, image], this.#options)
  }

  tell(...args: string[]): Promise<string> {
    return succeeds(this.#kind.client, [...this.#own(), ...args], this.#options)
  }

  #own(): string[] {
    return this.#kind.own(this.#options.home)
  }

  /** One that touches neither the machine's network nor its images. */
  async #startDaemon(file: string): Promise<void> {
    const { home } = this.#options
    const places = ['--data-root', join(home, 'data'), '--exec-root', join(home, 'exec'), '-p', join(home, 'pid')]
    const alone = ['--storage-driver=vfs', '--iptables=false', '--ip6tables=false', '--bridge=none']
    const daemon = spawn(file, [...alone, ...places, ...this.#own()], { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    daemon.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2000)
    })
    this.#daemon = daemon
    for (const end = Date.now() + START_MS; lives(daemon) && Date.now() < end; ) {
      if ((await run(this.#kind.client, [...this.#own(), 'version'], this.#options)).code === 0) return
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    await this.close()
    this.unable = `its daemon does not start here: ${said}`
  }
}

export function engines(): Engine[] {
  return KINDS.map((kind) => new Engine(kind))
}

function lives({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null
}
