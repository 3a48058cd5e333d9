/**
 * A server before the real S3 server that answers some requests itself: the permissions, regions and faults that the real
 * one cannot be given. What is passed on is not changed, so that signatures stay valid.
 *
 * @module
 */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** S3's name of the request; `Unsigned` is anything without a signature. */
export type FrontOperation = 'list' | 'get' | 'head' | 'put' | 'delete' | 'unsigned'

export interface FrontRequest {
  readonly operation: FrontOperation
  readonly isConditional: boolean
  /** Bucket and key, decoded. */
  readonly path: string
}

export interface FrontAnswer {
  readonly status: number
  /** S3's code; the body of a HEAD is left out. */
  readonly code?: string
  readonly message?: string
  readonly headers?: Readonly<Record<string, string>>
  /** XML within the error. */
  readonly extra?: string
}

export interface FrontOptions {
  /** `http://host:port` of the server. */
  readonly upstream: string
  /** An answer in place of the server's; `hang` for none; null to pass the request on. */
  readonly answer?: (request: FrontRequest) => FrontAnswer | 'hang' | null
  /** What the sender is told in place of the server's status. */
  readonly status?: (request: FrontRequest, status: number) => number
  /** How far the `Date` of every answer is from the truth. */
  readonly dateShiftMs?: number
}

export class S3Front {
  readonly endpoint: string
  readonly #server: Server
  readonly #options: FrontOptions

  private constructor(server: Server, options: FrontOptions) {
    this.#server = server
    this.#options = options
    this.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  static async start(options: FrontOptions): Promise<S3Front> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const front = new S3Front(server, options)
    server.on('request', (message, response) => {
      front.#serve(message).then(
        answer => {
          if (answer === 'hang') return
          response.writeHead(answer.status, answer.headers).end(answer.body)
        },
        () => response.destroy(),
      )
    })
    return front
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  async #serve(message: IncomingMessage): Promise<Answer | 'hang'> {
    const body = await bytesOf(message)
    const asked = describe(message)
    const own = this.#options.answer?.(asked) ?? null
    if (own === 'hang') return 'hang'
    const answer = own === null ? await this.#forward(message, body) : errorOf(own)
    const { status = (_, code) => code, dateShiftMs = 0 } = this.#options
    const date = new Date(Date.now() + dateShiftMs).toUTCString()
    const told = status(asked, answer.status)
    if (told !== answer.status) return { status: told, headers: { date, etag: '"by-the-front"' }, body: '' }
    return { ...answer, headers: { ...answer.headers, date } }
  }

  async #forward(message: IncomingMessage, body: Buffer): Promise<Answer> {
    const { hostname, port } = new URL(this.#options.upstream)
    const length = body.length > 0 ? { 'content-length': String(body.length) } : {}
    const outgoing = request({
      host: hostname,
      port,
      method: message.method,
      path: message.url,
      headers: { ...withoutHopByHop(message.headers), ...length },
      // The signature covers the sender's `Host`, which is this server.
      setHost: false,
    })
    outgoing.end(body)
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
    const answered = await bytesOf(incoming)
    return {
      status: incoming.statusCode ?? 500,
      headers: withoutHopByHop(incoming.headers) as Record<string, string>,
      body: answered,
    }
  }
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | string
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const HOP_BY_HOP: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding', 'expect'])

function withoutHopByHop(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)))
}

function describe(message: IncomingMessage): FrontRequest {
  const url = new URL(message.url ?? '/', 'http://front')
  return {
    operation: operationOf(message, url),
    isConditional: message.headers['if-none-match'] === '*',
    path: decodeURIComponent(url.pathname.slice(1)),
  }
}

function operationOf({ method, headers }: IncomingMessage, url: URL): FrontOperation {
  if (headers.authorization === undefined) return 'unsigned'
  if (method === 'PUT') return 'put'
  if (method === 'POST' || method === 'DELETE') return 'delete'
  if (method === 'HEAD') return 'head'
  return url.searchParams.has('list-type') ? 'list' : 'get'
}

function errorOf(answer: FrontAnswer): Answer {
  const { status, code = 'Injected', message = 'by the front', headers = {}, extra = '' } = answer
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message>${extra}</Error>`
  return { status, headers: { 'content-type': 'application/xml', ...headers }, body }
}
