/** How the embedded server is set: durable, moderate in memory, quiet. On its command line, so that they are always this program's. */
import type { Endpoint } from './endpoint.js'

const SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '128MB',
  max_connections: '50',
  max_wal_size: '1GB',
  min_wal_size: '64MB',
  wal_compression: 'on',
  checkpoint_completion_target: '0.9',
  password_encryption: 'scram-sha-256',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  logging_collector: 'off',
  log_checkpoints: 'off',
  // A statement may carry what must not be in a log, and every refused duplicate is an ERROR.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_statement: 'none',
}

export function serverSettings(endpoint: Endpoint): string[] {
  const where: Record<string, string> =
    'port' in endpoint
      ? { listen_addresses: '127.0.0.1', port: String(endpoint.port), unix_socket_directories: '' }
      : {
          listen_addresses: '',
          port: '5432',
          unix_socket_directories: endpoint.socketDir,
          unix_socket_permissions: '0700',
        }
  return Object.entries({ ...SETTINGS, ...where }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}
