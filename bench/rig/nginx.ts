/** nginx with a configuration of its own: one worker, open_file_cache, sendfile, files that were compressed beforehand, no access log. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Child } from './child.js'
import { freePort } from './ports.js'
import type { Rig } from './rig.js'
import { absent, serve } from './served.js'

export interface Nginx {
  url: string
  /** Files in it are served by their names. */
  root: string
  process: Child
}

/** undefined when nginx is not installed. */
export async function startNginx(rig: Rig): Promise<Nginx | undefined> {
  const dir = await rig.directory()
  const root = join(dir, 'root')
  await mkdir(root)
  await writeFile(join(root, 'ready'), 'ready\n')
  const port = await freePort()
  await writeFile(join(dir, 'nginx.conf'), configuration(dir, root, port))
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin` }
  const url = `http://127.0.0.1:${port}`
  const args = ['-p', dir, '-e', join(dir, 'error.log'), '-c', join(dir, 'nginx.conf')]
  const child = await serve(rig, { command: 'nginx', args, env, ready: `${url}/ready`, deadlineMs: 10_000 }).catch(
    absent,
  )
  if (!child) return undefined
  return { url, root, process: child }
}

function configuration(dir: string, root: string, port: number): string {
  // A worker of root's master would run as an account that cannot enter the directory.
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  return `${user}
daemon off;
worker_processes 1;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log crit;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  gzip_static on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  open_file_cache max=1000 inactive=60s;
  open_file_cache_valid 60s;
  open_file_cache_min_uses 1;
  types { }
  default_type application/json;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${dir}/${name};`).join(' ')}
  server { listen 127.0.0.1:${port}; root ${root}; }
}
`
}
