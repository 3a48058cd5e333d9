/**
 * A proxy between the product and a real S3 server that does to requests what networks and servers do.
 *
 * HTTP on the loopback interface. Each request is read to its end first, as a server does; what was read then reaches the
 * server even if its sender is dead by then. Signatures stay valid, because nothing that is passed on is changed.
 *
 * @module
 */
import { once } from 'node:events'
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export const FAULT_KINDS = [
  /** Passed on; the sender gets a reset instead of the answer. */
  'lost-answer',
  /** Not passed on; reset. */
  'reset-before',
  /** Not passed on; answered 500 or 503. */
  'error-500',
  'error-503',
  /** Passed on; answered 500 none the less. */
  'error-after',
  /** Not passed on; what S3 answers to a conditional put while another one is under way. Conditional puts only. */
  'conflict-409',
  /** Passed on twice; the second answer is given: 412 to the own write of a conditional put. Puts only. */
  'duplicate',
  /** Reset at once, and passed on later, when the sender may be dead or has tried again. Puts only. */
  'late',
  /** The answer breaks off in the middle of its body. */
  'cut-answer',
  /** Passed on later. */
  'delayed',
  /** Answered later. */
  'slow-answer',
] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

export type S3Operation = 'get' | 'head' | 'list' | 'put' | 'put-if-absent' | 'delete' | 'other'

export interface ProxiedRequest {
  readonly operation: S3Operation
  /** Path-style: bucket and key, decoded. */
  readonly path: string
  /** `AWS_SDK_UA_APP_ID` of the sender; empty where it has none. */
  readonly sender: string
}

export interface Fault {
  readonly kind: FaultKind
  /** Of the kinds that wait. */
  readonly waitMs: number
}

export interface FaultProxyOptions {
  /** `http://host:port` of the server. */
  readonly upstream: string
  /** Called once for each request, in the order in which they have come in whole. */
  readonly decide: (request: ProxiedRequest) => Fault | null
  /** Awaited before a request is passed on or met by a fault: to look at it, or to hold it. */
  readonly gate?: (request: ProxiedRequest) => Promise<void> | undefined
}

/** Which faults make sense for an operation. */
export function faultsFor(operation: S3Operation): readonly FaultKind[] {
  return FAULT_KINDS.filter(kind => {
    if (kind === 'conflict-409') return operation === 'put-if-absent'
    if (kind === 'duplicate' || kind === 'late') return operation === 'put' || operation === 'put-if-absent'
    if (kind === 'cut-answer') return operation === 'get' || operation === 'list'
    return true
  })
}

export class FaultProxy {
  readonly endpoint: string
  readonly #server: Server
  readonly #options: FaultProxyOptions
  readonly #agent = new Agent({ keepAlive: true })
  readonly #counts = new Map<FaultKind, number>()
  readonly #underWay = new Set<Promise<void>>()
  readonly #closing = new AbortController()
  #requestCount = 0

  private constructor(server: Server, options: FaultProxyOptions) {
    this.#server = server
    this.#options = options
    this.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('request', (message: IncomingMessage, response: ServerResponse) => {
      const work = this.#serve(message, response).catch(() => {
        // The server behind went away, or the sender did: no answer is the answer.
        response.destroy()
      })
      this.#underWay.add(work)
      void work.finally(() => this.#underWay.delete(work))
    })
  }

  static async start(options: FaultProxyOptions): Promise<FaultProxy> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new FaultProxy(server, options)
  }

  get requestCount(): number {
    return this.#requestCount
  }

  /** Faults so far, by kind. */
  get faultCounts(): ReadonlyMap<FaultKind, number> {
    return this.#counts
  }

  /** Resolves once everything that came in has reached the server or its end, late writes included. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  /** Ends all connections; late writes are dropped. */
  async close(): Promise<void> {
    this.#closing.abort()
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    this.#agent.destroy()
    await closed
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of message) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const proxied = describe(message)
    this.#requestCount++
    await this.#options.gate?.(proxied)
    const fault = this.#options.decide(proxied)
    if (fault === null) {
      give(response, await this.#forward(message, body))
      return
    }
    this.#counts.set(fault.kind, (this.#counts.get(fault.kind) ?? 0) + 1)
    await this.#meet(fault, message, body, response)
  }

  async #meet(fault: Fault, message: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> {
    const wait = (): Promise<void> => delay(fault.waitMs, undefined, { signal: this.#closing.signal })
    switch (fault.kind) {
      case 'reset-before':
        response.destroy()
        return
      case 'error-500':
        refuse(response, 500, 'InternalError')
        return
      case 'error-503':
        refuse(response, 503, 'SlowDown')
        return
      case 'conflict-409':
        refuse(response, 409, 'ConditionalRequestConflict')
        return
      case 'lost-answer':
        await this.#forward(message, body)
        response.destroy()
        return
      case 'error-after':
        await this.#forward(message, body)
        refuse(response, 500, 'InternalError')
        return
      case 'duplicate':
        await this.#forward(message, body)
        give(response, await this.#forward(message, body))
        return
      case 'late':
        response.destroy()
        await wait()
        await this.#forward(message, body)
        return
      case 'cut-answer':
        await cut(response, await this.#forward(message, body))
        return
      case 'delayed':
        await wait()
        give(response, await this.#forward(message, body))
        return
      case 'slow-answer': {
        const answer = await this.#forward(message, body)
        await wait()
        give(response, answer)
      }
    }
  }

  async #forward(message: IncomingMessage, body: Buffer): Promise<Answer> {
    const { hostname, port } = new URL(this.#options.upstream)
    const outgoing = request({
      host: hostname,
      port,
      method: message.method,
      path: message.url,
      headers: passedOn(message.headers, body),
      agent: this.#agent,
      // The signature covers the sender's `Host`, which is this proxy.
      setHost: false,
    })
    outgoing.end(body)
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    return { status: incoming.statusCode ?? 500, headers: incoming.headers, body: Buffer.concat(chunks) }
  }
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** Those of one connection, and `Transfer-Encoding`, which the whole body makes superfluous, end here. */
const OF_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'expect',
])

function passedOn(headers: IncomingHttpHeaders, body: Buffer): IncomingHttpHeaders {
  const kept = Object.entries(headers).filter(([name]) => !OF_CONNECTION.has(name))
  const length = body.length > 0 ? { 'content-length': String(body.length) } : {}
  return { ...Object.fromEntries(kept), ...length }
}

function describe(message: IncomingMessage): ProxiedRequest {
  const url = new URL(message.url ?? '/', 'http://proxy')
  return {
    operation: operationOf(message, url),
    path: decodeURIComponent(url.pathname.slice(1)),
    sender: /\bapp\/(\S+)/.exec(message.headers['user-agent'] ?? '')?.[1] ?? '',
  }
}

function operationOf(message: IncomingMessage, url: URL): S3Operation {
  switch (message.method) {
    case 'GET':
      return url.searchParams.has('list-type') ? 'list' : 'get'
    case 'HEAD':
      return 'head'
    case 'PUT':
      return message.headers['if-none-match'] === '*' ? 'put-if-absent' : 'put'
    case 'POST':
      return url.searchParams.has('delete') ? 'delete' : 'other'
    default:
      return 'other'
  }
}

function give(response: ServerResponse, { status, headers, body }: Answer): void {
  const kept = Object.entries(headers).filter(([name]) => !OF_CONNECTION.has(name))
  response.writeHead(status, Object.fromEntries(kept)).end(body)
}

function refuse(response: ServerResponse, status: number, code: string): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>injected</Message></Error>`
  response.writeHead(status, { 'content-type': 'application/xml', 'content-length': body.length }).end(body)
}

/** The whole length is promised, half of it is sent. */
async function cut(response: ServerResponse, { status, headers, body }: Answer): Promise<void> {
  const kept = Object.entries(headers).filter(([name]) => !OF_CONNECTION.has(name))
  response.writeHead(status, { ...Object.fromEntries(kept), 'content-length': String(body.length) })
  const half = body.subarray(0, Math.floor(body.length / 2))
  if (half.length === 0) response.flushHeaders()
  else await new Promise<void>(resolve => response.write(half, () => resolve()))
  response.destroy()
}
