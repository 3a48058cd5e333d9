/**
 * One client's connection: framing, the request header, and answers in the order of the requests.
 *
 * ```
 * Request  => size INT32, header, body
 * Request Header v1 => request_api_key INT16, request_api_version INT16, correlation_id INT32, client_id NULLABLE_STRING
 * Request Header v2 => v1, TAG_BUFFER                            (flexible versions; client_id stays a classic string)
 * Response => size INT32, header, body
 * Response Header v0 => correlation_id INT32
 * Response Header v1 => v0, TAG_BUFFER                           (flexible versions, except ApiVersions)
 * ```
 *
 * As in Apache Kafka, a request that cannot be understood ends the connection: the layout of an answer hangs on a version
 * that both sides know. ApiVersions alone answers UNSUPPORTED_VERSION instead.
 *
 * @module
 */
import type { Socket } from 'node:net'
import { writeUnsupportedApiVersions } from './api/api-versions.ts'
import { APIS, findApi } from './api/registry.ts'
import type { Api, BrokerContext } from './api.ts'
import type { FaultPlan, TakenFault } from './fault.ts'
import { API_KEYS } from './protocol-error.ts'
import { WireReader, WireWriter } from './wire.ts'

const SIZE_FIELD_BYTES = 4
/** Requests received and not yet answered; beyond it the socket is read no further. */
const PENDING_REQUESTS_MAX = 8

/** Why the broker closed a connection on its own account. */
export interface Rejection {
  readonly clientId: string | null
  readonly apiKey: number | null
  readonly apiVersion: number | null
  readonly reason: string
}

export interface ConnectionOptions {
  readonly requestBytesMax: number
  readonly faults: FaultPlan
  readonly onRequest: (apiKey: number, apiVersion: number, clientId: string | null) => void
  readonly onReject: (rejection: Rejection) => void
}

export class ClientConnection {
  readonly #socket: Socket
  readonly #broker: BrokerContext
  readonly #options: ConnectionOptions
  readonly #gone = new AbortController()
  #chunks: Buffer[] = []
  #receivedBytes = 0
  readonly #pending: Buffer[] = []
  #isAnswering = false

  constructor(socket: Socket, broker: BrokerContext, options: ConnectionOptions) {
    this.#socket = socket
    this.#broker = broker
    this.#options = options
    socket.setNoDelay(true)
    socket.on('data', chunk => this.#receive(chunk as Buffer))
    // A client that resets the connection is gone: nobody is left to tell.
    socket.on('error', () => {})
    socket.on('close', () => this.#gone.abort())
  }

  destroy(): void {
    this.#gone.abort()
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#receivedBytes += chunk.length
    for (;;) {
      if (this.#receivedBytes < SIZE_FIELD_BYTES) break
      const sizeBytes = this.#peekSize()
      if (sizeBytes < 0 || sizeBytes > this.#options.requestBytesMax) {
        this.#reject(null, null, null, `a request of \`${sizeBytes}\` bytes, over the limit`)
        return
      }
      if (this.#receivedBytes < SIZE_FIELD_BYTES + sizeBytes) break
      const received = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
      this.#pending.push(received.subarray(SIZE_FIELD_BYTES, SIZE_FIELD_BYTES + sizeBytes))
      const rest = received.subarray(SIZE_FIELD_BYTES + sizeBytes)
      this.#chunks = rest.length > 0 ? [rest] : []
      this.#receivedBytes = rest.length
    }
    if (this.#pending.length >= PENDING_REQUESTS_MAX) this.#socket.pause()
    if (!this.#isAnswering) void this.#answerPending()
  }

  #peekSize(): number {
    const [first] = this.#chunks
    if (first !== undefined && first.length >= SIZE_FIELD_BYTES) return first.readInt32BE(0)
    this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0]!.readInt32BE(0)
  }

  async #answerPending(): Promise<void> {
    this.#isAnswering = true
    for (let request = this.#pending.shift(); request !== undefined; request = this.#pending.shift()) {
      if (this.#gone.signal.aborted) break
      const outcome = await this.#answer(request)
      if (outcome === 'stop') return
      if (this.#socket.isPaused() && this.#pending.length < PENDING_REQUESTS_MAX / 2) this.#socket.resume()
    }
    this.#isAnswering = false
  }

  async #answer(request: Buffer): Promise<'go-on' | 'stop'> {
    const reader = new WireReader(request)
    let clientId: string | null = null
    let apiKey: number | null = null
    let version: number | null = null
    try {
      apiKey = reader.int16()
      version = reader.int16()
      const correlationId = reader.int32()
      clientId = reader.classicNullableString()
      this.#options.onRequest(apiKey, version, clientId)
      const api = findApi(apiKey)
      if (api === undefined) return this.#reject(clientId, apiKey, version, 'the API is not known')
      if (version < api.minVersion || version > api.maxVersion) {
        return await this.#answerUnsupported(api, version, correlationId, clientId)
      }
      const fault = this.#options.faults.take(apiKey)
      if (fault?.fault === 'hang') return 'stop'
      if (fault?.fault === 'disconnect') return this.#disconnect()
      return await this.#handle(api, version, correlationId, clientId, reader, fault)
    } catch (error) {
      // A malformed request, or a bug here: either way the client must not wait for an answer.
      return this.#reject(clientId, apiKey, version, error instanceof Error ? error.message : String(error))
    }
  }

  async #handle(
    api: Api,
    version: number,
    correlationId: number,
    clientId: string | null,
    reader: WireReader,
    fault: TakenFault | null,
  ): Promise<'go-on' | 'stop'> {
    const isFlexible = version >= api.flexibleFrom
    reader.flexible = isFlexible
    reader.skipTags()
    const response = new WireWriter(isFlexible)
    response.int32(correlationId)
    if (api.key !== API_KEYS.ApiVersions) response.tags()
    const { signal } = this.#gone
    const outcome = await api.handle({ version, reader, response, clientId, fault, signal }, this.#broker)
    if (fault?.fault === 'lose-response') return this.#disconnect()
    if (outcome === 'respond') await this.#send(response)
    return 'go-on'
  }

  async #answerUnsupported(
    api: Api,
    version: number,
    correlationId: number,
    clientId: string | null,
  ): Promise<'go-on' | 'stop'> {
    if (api.key !== API_KEYS.ApiVersions) {
      const range = `${api.minVersion} to ${api.maxVersion}`
      return this.#reject(clientId, api.key, version, `${api.name} is known in versions ${range}`)
    }
    const response = new WireWriter(false)
    response.int32(correlationId)
    writeUnsupportedApiVersions(response, APIS)
    await this.#send(response)
    return 'go-on'
  }

  /** Returns once the socket takes more: a slow reader holds up its own connection only. */
  async #send(response: WireWriter): Promise<void> {
    if (this.#gone.signal.aborted) return
    const size = Buffer.allocUnsafe(SIZE_FIELD_BYTES)
    size.writeInt32BE(response.sizeBytes)
    this.#socket.cork()
    let hasRoom = this.#socket.write(size)
    for (const chunk of response.finish()) hasRoom = this.#socket.write(chunk)
    this.#socket.uncork()
    if (hasRoom || this.#socket.writableLength === 0) return
    await new Promise<void>(resolve => {
      const finish = (): void => {
        this.#socket.removeListener('drain', finish)
        this.#gone.signal.removeEventListener('abort', finish)
        resolve()
      }
      this.#socket.once('drain', finish)
      this.#gone.signal.addEventListener('abort', finish)
    })
  }

  #disconnect(): 'stop' {
    this.destroy()
    return 'stop'
  }

  #reject(clientId: string | null, apiKey: number | null, apiVersion: number | null, reason: string): 'stop' {
    this.#options.onReject({ clientId, apiKey, apiVersion, reason })
    return this.#disconnect()
  }
}
