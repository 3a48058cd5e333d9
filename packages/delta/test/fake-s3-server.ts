/**
 * An S3 server in the process, path style, in memory, for the answers that a real one gives too seldom: lost, late,
 * refused, and wrong. It checks no signatures.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { compareKeys } from '../src/store/object-key.ts'

/** One request, as a fault hook and a test see it. */
export interface FakeS3Request {
  /** S3's name of it, such as `PutObject`; a conditional put is a `PutObject` with `ifNoneMatch`. */
  readonly action: string
  readonly bucket: string
  readonly key: string
  readonly ifNoneMatch: boolean
  readonly headers: IncomingMessage['headers']
  readonly query: URLSearchParams
}

/**
 * - `answer`: this status and S3 code (or body), nothing is done.
 * - `lost`: the request is done, the connection is cut in place of the answer.
 * - `reset`: the connection is cut, nothing is done.
 * - `hang`: no answer ever.
 * - `cut-body`: the answer's head and half its body, then the connection is cut.
 */
export type FakeS3Fault =
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly code: string
      readonly headers?: Record<string, string>
      /** XML within the error. */
      readonly extra?: string
      /** In place of an error. */
      readonly body?: string
    }
  | { readonly kind: 'lost' | 'reset' | 'hang' | 'cut-body' }

/**
 * What the server makes of `If-None-Match: *`: `honour` it, `ignore` it, or (`race`) look first and write a moment later,
 * so that callers at once all win.
 */
export type FakeS3Condition = 'honour' | 'ignore' | 'race'

export interface FakeS3Options {
  readonly buckets?: readonly string[]
  readonly condition?: FakeS3Condition
  readonly faults?: (request: FakeS3Request) => FakeS3Fault | undefined
  /** Keys per page of a listing. Default 1000. */
  readonly pageSize?: number
}

interface StoredObject {
  readonly body: Buffer
  readonly modified: Date
}

interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: Buffer | string
}

/** How long the `race` mode waits between looking and writing: requests sent together arrive within it. */
const RACE_WINDOW_MS = 50

export class FakeS3Server {
  readonly requests: FakeS3Request[] = []
  readonly buckets = new Map<string, Map<string, StoredObject>>()
  readonly uploads = new Map<string, Map<number, Buffer>>()
  condition: FakeS3Condition
  faults: (request: FakeS3Request) => FakeS3Fault | undefined
  readonly #pageSize: number
  readonly #server = createServer((request, response) => void this.#serve(request, response))
  readonly #sockets = new Set<Socket>()
  #uploadCount = 0

  constructor(options: FakeS3Options = {}) {
    for (const bucket of options.buckets ?? ['lake']) this.buckets.set(bucket, new Map())
    this.condition = options.condition ?? 'honour'
    this.faults = options.faults ?? (() => undefined)
    this.#pageSize = options.pageSize ?? 1000
    this.#server.on('connection', socket => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  static async start(options: FakeS3Options = {}): Promise<FakeS3Server> {
    const fake = new FakeS3Server(options)
    await new Promise<void>(resolve => fake.#server.listen(0, '127.0.0.1', resolve))
    return fake
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get openConnectionCount(): number {
    return this.#sockets.size
  }

  /** Calls back once, when the last open connection is closed. */
  onIdle(callback: () => void): void {
    for (const socket of this.#sockets) {
      socket.once('close', () => {
        if (this.#sockets.size === 0) callback()
      })
    }
  }

  /** The actions of the requests so far, in order. */
  get actions(): string[] {
    return this.requests.map(({ action }) => action)
  }

  object(key: string, bucket = 'lake'): Buffer | undefined {
    return this.buckets.get(bucket)?.get(key)?.body
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(resolve => this.#server.close(resolve))
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of incoming) chunks.push(chunk)
    } catch {
      return // The client cut the connection.
    }
    const request = describe(incoming)
    this.requests.push(request)
    const fault = this.faults(request)
    if (fault?.kind === 'hang') return
    if (fault?.kind === 'reset') return void incoming.socket.destroy()
    const answer =
      fault?.kind === 'answer' ? refusal(fault) : await this.#perform(request, Buffer.concat(chunks))
    if (fault?.kind === 'lost') return void incoming.socket.destroy()
    const body = Buffer.from(answer.body ?? '')
    response.writeHead(answer.status, {
      'content-length': body.length,
      'x-amz-request-id': 'fake',
      ...answer.headers,
    })
    if (fault?.kind === 'cut-body') {
      response.write(body.subarray(0, body.length / 2), () => incoming.socket.destroy())
      return
    }
    response.end(incoming.method === 'HEAD' ? undefined : body)
  }

  async #perform(request: FakeS3Request, body: Buffer): Promise<Answer> {
    const objects = this.buckets.get(request.bucket)
    if (request.action === 'CreateBucket') return this.#createBucket(request.bucket)
    if (objects === undefined) return refusal({ status: 404, code: 'NoSuchBucket' })
    switch (request.action) {
      case 'HeadBucket':
        return { status: 200 }
      case 'GetObject':
      case 'HeadObject':
        return read(objects.get(request.key), request)
      case 'PutObject':
        return this.#putObject(objects, request, body)
      case 'ListObjectsV2':
        return this.#list(objects, request.query)
      case 'DeleteObjects':
        return deleteAll(objects, body.toString())
      default:
        return this.#performMultipart(objects, request, body)
    }
  }

  #createBucket(bucket: string): Answer {
    if (this.buckets.has(bucket)) return refusal({ status: 409, code: 'BucketAlreadyOwnedByYou' })
    this.buckets.set(bucket, new Map())
    return { status: 200 }
  }

  async #putObject(
    objects: Map<string, StoredObject>,
    request: FakeS3Request,
    body: Buffer,
  ): Promise<Answer> {
    const isConditional = request.ifNoneMatch && this.condition !== 'ignore'
    if (isConditional && objects.has(request.key)) return refusal({ status: 412, code: 'PreconditionFailed' })
    if (isConditional && this.condition === 'race') await delay(RACE_WINDOW_MS)
    objects.set(request.key, { body, modified: new Date() })
    return { status: 200, headers: { etag: etagOf(body) } }
  }

  #performMultipart(objects: Map<string, StoredObject>, request: FakeS3Request, body: Buffer): Answer {
    if (request.action === 'CreateMultipartUpload') {
      const uploadId = `upload-${this.#uploadCount++}`
      this.uploads.set(uploadId, new Map())
      const xml = `<InitiateMultipartUploadResult><UploadId>${uploadId}</UploadId></InitiateMultipartUploadResult>`
      return { status: 200, body: xml }
    }
    const uploadId = request.query.get('uploadId') ?? ''
    const parts = this.uploads.get(uploadId)
    if (parts === undefined) return refusal({ status: 404, code: 'NoSuchUpload' })
    switch (request.action) {
      case 'UploadPart':
        parts.set(Number(request.query.get('partNumber')), body)
        return { status: 200, headers: { etag: etagOf(body) } }
      case 'AbortMultipartUpload':
        this.uploads.delete(uploadId)
        return { status: 204 }
      case 'CompleteMultipartUpload': {
        const isConditional = request.ifNoneMatch && this.condition !== 'ignore'
        if (isConditional && objects.has(request.key))
          return refusal({ status: 412, code: 'PreconditionFailed' })
        const numbers = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map(match =>
          Number(match[1]),
        )
        objects.set(request.key, {
          body: Buffer.concat(numbers.map(number => parts.get(number)!)),
          modified: new Date(),
        })
        this.uploads.delete(uploadId)
        return {
          status: 200,
          body: '<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>',
        }
      }
      default:
        return refusal({ status: 501, code: 'NotImplemented' })
    }
  }

  #list(objects: Map<string, StoredObject>, query: URLSearchParams): Answer {
    const prefix = query.get('prefix') ?? ''
    const after = query.get('continuation-token') ?? query.get('start-after') ?? ''
    const delimiter = query.get('delimiter')
    const encode = (key: string) => encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/')
    const keys = [...objects.keys()]
      .filter(key => key.startsWith(prefix) && compareKeys(key, after) > 0)
      .filter(key => delimiter === null || !key.slice(prefix.length).includes(delimiter))
      .sort(compareKeys)
    const page = keys.slice(0, this.#pageSize)
    const isTruncated = keys.length > page.length
    const contents = page.map(key => {
      const { body, modified } = objects.get(key)!
      const size = `<Size>${body.length}</Size><LastModified>${modified.toISOString()}</LastModified>`
      return `<Contents><Key>${encode(key)}</Key>${size}</Contents>`
    })
    const next = isTruncated
      ? `<NextContinuationToken>${escapeXml(page.at(-1)!)}</NextContinuationToken>`
      : ''
    const head = `<EncodingType>url</EncodingType><IsTruncated>${isTruncated}</IsTruncated>${next}`
    return { status: 200, body: `<ListBucketResult>${head}${contents.join('')}</ListBucketResult>` }
  }
}

function describe(incoming: IncomingMessage): FakeS3Request {
  const url = new URL(incoming.url ?? '/', 'http://fake')
  const [, bucket = '', ...rest] = url.pathname.split('/')
  const key = decodeURIComponent(rest.join('/'))
  return {
    action: actionOf(incoming.method ?? '', key, url.searchParams),
    bucket,
    key,
    ifNoneMatch: incoming.headers['if-none-match'] === '*',
    headers: incoming.headers,
    query: url.searchParams,
  }
}

function actionOf(method: string, key: string, query: URLSearchParams): string {
  const onObject = key !== ''
  switch (method) {
    case 'GET':
      return onObject ? 'GetObject' : 'ListObjectsV2'
    case 'HEAD':
      return onObject ? 'HeadObject' : 'HeadBucket'
    case 'PUT':
      if (!onObject) return 'CreateBucket'
      return query.has('partNumber') ? 'UploadPart' : 'PutObject'
    case 'DELETE':
      return query.has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject'
    default:
      if (query.has('delete')) return 'DeleteObjects'
      return query.has('uploads') ? 'CreateMultipartUpload' : 'CompleteMultipartUpload'
  }
}

function read(object: StoredObject | undefined, request: FakeS3Request): Answer {
  if (object === undefined) return refusal({ status: 404, code: 'NoSuchKey' })
  const headers = { etag: etagOf(object.body), 'last-modified': object.modified.toUTCString() }
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
  if (range === null) return { status: 200, headers, body: object.body }
  const start = Number(range[1])
  const end = Math.min(range[2] === '' ? Number.POSITIVE_INFINITY : Number(range[2]) + 1, object.body.length)
  if (start >= object.body.length) return refusal({ status: 416, code: 'InvalidRange' })
  const contentRange = `bytes ${start}-${end - 1}/${object.body.length}`
  return {
    status: 206,
    headers: { ...headers, 'content-range': contentRange },
    body: object.body.subarray(start, end),
  }
}

function deleteAll(objects: Map<string, StoredObject>, xml: string): Answer {
  const errors: string[] = []
  for (const match of xml.matchAll(/<Key>(.*?)<\/Key>/g)) {
    const key = unescapeXml(match[1]!)
    if (key.includes('undeletable')) {
      errors.push(`<Error><Key>${escapeXml(key)}</Key><Code>AccessDenied</Code><Message>no</Message></Error>`)
    } else objects.delete(key)
  }
  return { status: 200, body: `<DeleteResult>${errors.join('')}</DeleteResult>` }
}

function refusal(fault: {
  status: number
  code: string
  headers?: Record<string, string>
  extra?: string
  body?: string
}): Answer {
  const body =
    fault.body ??
    `<Error><Code>${fault.code}</Code><Message>said the fake server</Message>${fault.extra ?? ''}</Error>`
  return { status: fault.status, body, ...(fault.headers === undefined ? {} : { headers: fault.headers }) }
}

function etagOf(body: Buffer): string {
  return `"${createHash('md5').update(body).digest('hex')}"`
}

const XML_ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

function escapeXml(text: string): string {
  return text.replaceAll(/[&<>"']/g, character => XML_ENTITIES[character]!)
}

function unescapeXml(text: string): string {
  return text.replaceAll(
    /&(?:amp|lt|gt|quot|apos);/g,
    entity => Object.entries(XML_ENTITIES).find(([, escaped]) => escaped === entity)![0],
  )
}
