/**
 * `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever restarts processes.
 *
 * @module
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConfigError, IoError } from '../error.ts'
import { type MetricClock, ProcessMetrics } from '../observe/process-metrics.ts'
import type { WatchedPipeline } from '../observe/readiness.ts'
import { VERSION } from './version.ts'

/** Somebody who connects and says nothing. */
const REQUEST_TIMEOUT_MS = 10_000
/** How often such connections are looked for. */
const TIMEOUT_CHECK_MS = 5_000
/** Somebody who does not read the answer. */
const SOCKET_TIMEOUT_MS = 30_000
const HEADERS_MAX_BYTES = 8 * 1024
/** One more is closed at once. */
export const CONNECTIONS_MAX = 64

/** Besides those of the pipelines. */
export const PROCESS_METRICS = [
  {
    name: 'stream_ingest_build_info',
    type: 'gauge',
    help: 'What runs; always 1.',
    labels: ['version', 'node'],
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    help: 'Resident memory of the process.',
    labels: [],
  },
  {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    help: 'CPU of the process, user and system, of all threads.',
    labels: [],
  },
  {
    name: 'process_start_time_seconds',
    type: 'gauge',
    help: 'When the process started, in seconds since 1970.',
    labels: [],
  },
] as const

export interface ListenAddress {
  /** Null: every interface. */
  readonly host: string | null
  readonly port: number
}

export interface MetricsServer {
  readonly address: AddressInfo
  close(): Promise<void>
}

/**
 * Reads `PORT` (of this machine alone), `HOST:PORT`, or `:PORT` (every interface).
 *
 * @throws ConfigError `CONFIG_USAGE`
 */
export function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:(\[[\da-f:]+\]|[^:]*)(:))?(\d{1,5})$/i.exec(text)
  const port = Number(match?.[3] ?? Number.NaN)
  if (match === null || port > 65_535) {
    throw new ConfigError('CONFIG_USAGE', `\`${text}\` is no address to listen on`, {
      hint: 'write a port (this machine alone), HOST:PORT, or :PORT (every interface), such as :9464',
    })
  }
  const [, host = '', colon] = match
  if (colon === undefined) return { host: '127.0.0.1', port }
  return { host: host === '' ? null : host.replace(/^\[|\]$/g, ''), port }
}

export function formatAddress({ address, port, family }: AddressInfo): string {
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`
}

export interface MetricsServerOptions {
  readonly pipelines: readonly WatchedPipeline[]
  readonly address: ListenAddress
  /** A series for each partition, or one for each topic. */
  readonly partitions: boolean
}

/** @throws IoError where the address cannot be had */
export async function startMetricsServer(
  { pipelines, address: { host, port }, partitions }: MetricsServerOptions,
  clock: MetricClock,
): Promise<MetricsServer> {
  const metrics = new ProcessMetrics(pipelines, clock, { partitions, others: PROCESS_METRICS })
  metrics.registry.set('stream_ingest_build_info', [VERSION, process.versions.node], 1)
  metrics.registry.set('process_start_time_seconds', [], clock.now() / 1000 - process.uptime())
  const server = createServer(
    {
      maxHeaderSize: HEADERS_MAX_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    },
    (request, response) => answer(request, response, metrics),
  )
  server.maxConnections = CONNECTIONS_MAX
  server.timeout = SOCKET_TIMEOUT_MS
  await listen(server, host, port)
  // A connection that cannot be accepted, as where descriptors run out, is its caller's to notice: it ends nothing here.
  server.on('error', () => {})
  // It must not keep the process alive.
  server.unref()
  const end = metrics.listen()
  return {
    address: server.address() as AddressInfo,
    async close() {
      end()
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

async function listen(server: Server, host: string | null, port: number): Promise<void> {
  try {
    server.listen(port, ...(host === null ? [] : [host]))
    await once(server, 'listening')
  } catch (error) {
    const where = `${host ?? ''}:${port}`
    const { code = '', message } = error as NodeJS.ErrnoException
    const hint = LISTEN_HINTS[code] ?? 'choose another address for --metrics'
    throw new IoError('IO_FAILED', `cannot listen on ${where}: ${message}`, { hint, cause: error })
  }
}

const LISTEN_HINTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: choose another port for --metrics',
  EACCES: 'this user may not listen there: choose a port from 1024 on for --metrics',
  EADDRNOTAVAIL: 'this machine does not have the address: write --metrics :PORT for every interface',
  ENOTFOUND: 'the name leads nowhere: write --metrics :PORT for every interface',
}

interface Reply {
  readonly status: number
  readonly text: string
  readonly type?: string
}

function answer(request: IncomingMessage, response: ServerResponse, metrics: ProcessMetrics): void {
  const { status, text, type = 'text/plain; charset=utf-8' } = replyTo(request, metrics)
  response.writeHead(status, {
    'content-type': type,
    'cache-control': 'no-store',
    // A body is not read: its connection ends with the answer.
    ...(request.method === 'GET' || request.method === 'HEAD' ? {} : { connection: 'close' }),
  })
  response.end(request.method === 'HEAD' ? undefined : text)
}

function replyTo({ method, url = '' }: IncomingMessage, metrics: ProcessMetrics): Reply {
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, text: 'only GET\n' }
  switch (url.split('?')[0]) {
    case '/metrics': {
      const { user, system } = process.cpuUsage()
      metrics.registry.set('process_resident_memory_bytes', [], process.memoryUsage.rss())
      metrics.registry.set('process_cpu_seconds_total', [], (user + system) / 1e6)
      return { status: 200, text: metrics.format(), type: 'text/plain; version=0.0.4; charset=utf-8' }
    }
    case '/healthz':
      return { status: 200, text: 'ok\n' }
    case '/readyz': {
      const problems = [...metrics.readiness.problems()]
      if (problems.length === 0) return { status: 200, text: 'ready\n' }
      return { status: 503, text: problems.map(([name, problem]) => `${name}: ${problem}\n`).join('') }
    }
    default:
      return { status: 404, text: 'there are /metrics, /healthz and /readyz\n' }
  }
}
