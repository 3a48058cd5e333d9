/**
 * The connection to an S3 server: the SDK, loaded at the first request, and how it is set up.
 *
 * All repeating is the SDK's. That includes the body of a download, which is read inside the SDK's attempt.
 *
 * @module
 */
import { Readable } from 'node:stream'
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
import { DeltaLakeError } from '../error.ts'

/**
 * Attempts per request, the first included. With the SDK's backoff (doubling, full jitter) they end within 1.6 seconds
 * after failures, within 31 seconds where the server asks to slow down.
 */
const ATTEMPTS_MAX_DEFAULT = 6

/** A server that takes longer to accept a connection is not there. */
const CONNECT_TIMEOUT_MS_DEFAULT = 5_000

/** Longest silence on a connection in either direction; large bodies may take as long as bytes keep moving. */
const IDLE_TIMEOUT_MS_DEFAULT = 30_000

/** From the start of a request to the head of its answer, the upload of the largest part included. */
const REQUEST_TIMEOUT_MS_DEFAULT = 300_000

const SOCKETS_MAX_DEFAULT = 50

/** Shown in the audit trail of the account whose role is assumed. */
const ROLE_SESSION_NAME = 'stream-ingest'

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

export interface S3ConnectionOptions {
  /** Default: the AWS configuration of the environment. */
  readonly region?: string | undefined
  /** Address of a server other than AWS, such as `http://127.0.0.1:9000`. */
  readonly endpoint?: string | undefined
  /** `endpoint/bucket/key` in place of `bucket.endpoint/key`. Default false. */
  readonly forcePathStyle?: boolean | undefined
  /** Default: the AWS credential chain (environment, profile, container, instance). */
  readonly credentials?: S3Credentials | undefined
  /** A role to assume with these credentials. */
  readonly roleArn?: string | undefined
  /** Attempts per request, the first included. Default 6. */
  readonly attemptsMax?: number | undefined
  /** Default 5,000. */
  readonly connectTimeoutMs?: number | undefined
  /** Longest silence on a connection. Default 30,000. */
  readonly idleTimeoutMs?: number | undefined
  /** From the start of a request to the head of its answer. Default 300,000. */
  readonly requestTimeoutMs?: number | undefined
  /** Connections at once. Default 50. */
  readonly socketsMax?: number | undefined
  /** Told of each request that is repeated, right before it is. Must not throw. */
  readonly onRetry?: ((retry: S3Retry) => void) | undefined
}

/** A request that failed in a way that may pass. */
export interface S3Retry {
  /** `PutObject`, `UploadPart`, … */
  readonly action: string
  /** What the attempt before came to. */
  readonly error: unknown
}

/** The SDK's module and a client of it. */
export interface S3Sdk {
  readonly s3: typeof import('@aws-sdk/client-s3')
  readonly client: S3Client
}

/** A client shared by a store and all that came from its `at`. */
export class S3Connection {
  readonly endpoint: string | undefined
  readonly region: string | undefined
  readonly #options: S3ConnectionOptions
  #sdk: Promise<S3Sdk> | null = null

  constructor(options: S3ConnectionOptions) {
    this.#options = options
    this.endpoint = options.endpoint
    this.region = options.region
  }

  /** The SDK, loaded and configured by the first call. */
  async open(): Promise<S3Sdk> {
    this.#sdk ??= openSdk(this.#options).catch((error: unknown) => {
      this.#sdk = null
      throw error
    })
    return this.#sdk
  }

  /** Ends the connections; requests under way fail. */
  async close(): Promise<void> {
    const sdk = await this.#sdk
    this.#sdk = null
    sdk?.client.destroy()
  }
}

async function openSdk(options: S3ConnectionOptions): Promise<S3Sdk> {
  const s3 = await import('@aws-sdk/client-s3')
  const credentials = await resolveCredentials(options)
  const config: S3ClientConfig = {
    maxAttempts: options.attemptsMax ?? ATTEMPTS_MAX_DEFAULT,
    retryMode: 'standard',
    forcePathStyle: options.forcePathStyle ?? false,
    // The bodies are buffers and can be sent again; waiting for `100 Continue` costs a connection of its own each time.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS_DEFAULT,
      socketTimeout: options.idleTimeoutMs ?? IDLE_TIMEOUT_MS_DEFAULT,
      requestTimeout: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets: options.socketsMax ?? SOCKETS_MAX_DEFAULT },
      httpsAgent: { maxSockets: options.socketsMax ?? SOCKETS_MAX_DEFAULT },
    },
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
  }
  const client = new s3.S3Client(config)
  readBodyWithinAttempt(client)
  if (options.onRetry !== undefined) reportRetries(client, options.onRetry)
  return { s3, client }
}

type CredentialsConfig = NonNullable<S3ClientConfig['credentials']>

async function resolveCredentials(options: S3ConnectionOptions): Promise<CredentialsConfig | undefined> {
  const given = options.credentials && {
    accessKeyId: options.credentials.accessKeyId,
    secretAccessKey: options.credentials.secretAccessKey,
    ...(options.credentials.sessionToken === undefined
      ? {}
      : { sessionToken: options.credentials.sessionToken }),
  }
  const { roleArn } = options
  if (roleArn === undefined) return given
  const { fromTemporaryCredentials } = await import('@aws-sdk/credential-providers')
  const assumeRole = fromTemporaryCredentials({
    params: { RoleArn: roleArn, RoleSessionName: ROLE_SESSION_NAME },
    ...(given === undefined ? {} : { masterCredentials: given }),
    ...(options.region === undefined ? {} : { clientConfig: { region: options.region } }),
  })
  return async identity => {
    try {
      return await assumeRole(identity)
    } catch (cause) {
      const said = cause instanceof Error ? `${cause.name}: ${cause.message}` : 'unknown error'
      throw new DeltaLakeError('STORE_CREDENTIALS', `cannot assume the role \`${roleArn}\`: ${said}`, {
        hint: "grant sts:AssumeRole on the role to this identity, and let the role's trust policy name it",
        context: { roleArn },
        cause,
      })
    }
  }
}

/**
 * Reads the body of a GetObject where the SDK still repeats: it would otherwise hand out a stream whose failure half way
 * through is the caller's.
 */
function readBodyWithinAttempt(client: S3Client): void {
  client.middlewareStack.add(
    (next, context) => async args => {
      const result = await next(args)
      const response = result.response
      if (context.commandName === 'GetObjectCommand' && hasStreamBody(response)) {
        const chunks: Uint8Array[] = []
        for await (const chunk of response.body) chunks.push(chunk)
        response.body = Readable.from([Buffer.concat(chunks)])
      }
      return result
    },
    // The lowest priority of the last step is next to the network, inside the SDK's attempt.
    { step: 'deserialize', priority: 'low', name: 'readBodyWithinAttempt' },
  )
}

/** The SDK decides and waits by itself: that it repeats shows where an attempt begins after one that failed. */
function reportRetries(client: S3Client, onRetry: (retry: S3Retry) => void): void {
  client.middlewareStack.add(
    (next, context) => {
      const action = (context.commandName ?? 'unknown').replace(/Command$/, '')
      let failure: { readonly error: unknown } | null = null
      return async args => {
        if (failure !== null) onRetry({ action, error: failure.error })
        failure = null
        try {
          return await next(args)
        } catch (error) {
          failure = { error }
          throw error
        }
      }
    },
    // Behind the SDK's own middleware that repeats, so that each attempt passes here.
    { step: 'finalizeRequest', priority: 'low', name: 'reportRetries' },
  )
}

function hasStreamBody(response: unknown): response is { body: Readable } {
  return (
    typeof response === 'object' &&
    response !== null &&
    'body' in response &&
    response.body instanceof Readable
  )
}
