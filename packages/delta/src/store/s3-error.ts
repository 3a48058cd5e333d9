/**
 * What an answer of an S3 server, or the lack of one, means for whoever uses the store.
 *
 * @module
 */
import { AssertionError } from 'node:assert'
import { type DeltaErrorCode, DeltaLakeError } from '../error.ts'

/** The requests we make, each with the permission it needs. */
export const S3_PERMISSIONS = {
  GetObject: 's3:GetObject',
  HeadObject: 's3:GetObject',
  PutObject: 's3:PutObject',
  CreateMultipartUpload: 's3:PutObject',
  UploadPart: 's3:PutObject',
  CompleteMultipartUpload: 's3:PutObject',
  ListObjectsV2: 's3:ListBucket',
  HeadBucket: 's3:ListBucket',
  CreateBucket: 's3:CreateBucket',
  DeleteObjects: 's3:DeleteObject',
} as const

export type S3Action = keyof typeof S3_PERMISSIONS

/** Where a request was going, for messages. */
export interface S3Target {
  readonly action: S3Action
  readonly bucket: string
  readonly key?: string | undefined
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
}

/** What is known of a failed request; every field may be missing. */
interface S3Failure {
  /** S3's own code, such as `NoSuchKey`, else the error's name or the system's code. */
  readonly name: string
  readonly httpStatus: number | undefined
  readonly requestId: string | undefined
  /** The region that the server names as the right one. */
  readonly region: string | undefined
}

/** How a failure is to be reported. */
export interface Verdict {
  readonly code: DeltaErrorCode
  readonly hint?: string
  readonly retryable?: boolean
}

const CREDENTIALS_CODES = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidToken',
  'InvalidSecurity',
  'TokenRefreshRequired',
  'AuthorizationHeaderMalformed',
  'AuthorizationQueryParametersError',
  'MissingSecurityHeader',
  'InvalidClientTokenId',
  'UnrecognizedClientException',
  'CredentialsProviderError',
  'TokenProviderError',
])
/** What to do by the code, where it is more than the usual. */
const CREDENTIALS_HINTS: Readonly<Record<string, string>> = {
  SignatureDoesNotMatch:
    'the secret access key is not the one of this access key id: check both, and that nothing between changes requests',
  InvalidAccessKeyId: 'this access key id does not exist at this server: check it, and the endpoint',
  InvalidClientTokenId: 'this access key id does not exist: check it, and the partition of AWS',
  ExpiredToken: 'the session has expired: sign in again, or let the AWS credential chain renew it',
  ExpiredTokenException: 'the session has expired: sign in again, or let the AWS credential chain renew it',
  TokenRefreshRequired: 'the session has expired: sign in again, or let the AWS credential chain renew it',
  InvalidToken: 'the session token does not belong to this access key: set all three, or none',
  CredentialsProviderError:
    'no credentials were found: set `s3.credentials`, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give this machine a role',
}
const CLOCK_CODES = new Set(['RequestTimeTooSkewed', 'RequestExpired', 'RequestInTheFuture'])
const REGION_CODES = new Set(['PermanentRedirect', 'TemporaryRedirect', 'IllegalLocationConstraintException'])
const THROTTLED_CODES = new Set([
  'SlowDown',
  'ServiceUnavailable',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'BandwidthLimitExceeded',
])
const UNAVAILABLE_CODES = new Set([
  'InternalError',
  'RequestTimeout',
  'TimeoutError',
  'OperationAborted',
  'ConditionalRequestConflict',
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
])
const NO_ADDRESS_CODES = new Set(['ENOTFOUND', 'EAI_AGAIN'])
const CERTIFICATE_CODE = /^(CERT_|ERR_TLS_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH)/
/** The other side speaks another protocol: TLS to a plain port, plain HTTP to a TLS port. */
const PROTOCOL_CODE = /^(EPROTO$|HPE_|ERR_SSL_)/

/** HTTP status of the answer to a failed request; undefined where there was none. */
export function httpStatusOf(error: unknown): number | undefined {
  return describeFailure(error).httpStatus
}

/** S3's code of a failed request, such as `NoSuchKey`; for a HEAD, whose answer has no body, only the status tells. */
export function s3CodeOf(error: unknown): string {
  return describeFailure(error).name
}

/**
 * The error to throw for a failed request: it names action, bucket, key and what to do. Our own errors and bugs are
 * returned as they are.
 */
export function explainS3Error(error: unknown, target: S3Target): unknown {
  if (error instanceof DeltaLakeError || isBug(error)) return error
  const failure = describeFailure(error)
  const verdict = judge(failure, error, target)
  const place = target.key === undefined ? `s3://${target.bucket}` : `s3://${target.bucket}/${target.key}`
  const at = target.endpoint === undefined ? '' : ` at \`${target.endpoint}\``
  const said = error instanceof Error && error.message !== '' ? error.message : 'no message'
  const status = failure.httpStatus === undefined ? '' : ` (HTTP ${failure.httpStatus})`
  const message = `\`${target.action}\` on \`${place}\`${at} failed: ${failure.name}${status}: ${said}`
  return new DeltaLakeError(verdict.code, message, {
    ...(verdict.hint === undefined ? {} : { hint: verdict.hint }),
    ...(verdict.retryable === undefined ? {} : { retryable: verdict.retryable }),
    context: {
      action: target.action,
      bucket: target.bucket,
      key: target.key,
      endpoint: target.endpoint,
      httpStatus: failure.httpStatus,
      s3Code: failure.name,
      requestId: failure.requestId,
    },
    cause: error,
  })
}

/**
 * What an error of the AWS SDK means where it is not known what was asked for: of any of its clients.
 *
 * @returns `hint` only where it needs no bucket or key
 */
export function judgeS3Error(error: Error): Verdict {
  const verdict = judge(describeFailure(error), error, { action: 'HeadBucket', bucket: '' })
  const { hint: _, ...rest } = verdict
  return verdict.code === 'STORE_ACCESS_DENIED' || verdict.code === 'STORE_REGION' ? rest : verdict
}

function judge(failure: S3Failure, error: unknown, target: S3Target): Verdict {
  const { name, httpStatus } = failure
  if (failure.region !== undefined && failure.region !== target.region) return wrongRegion(failure, target)
  if (REGION_CODES.has(name) || httpStatus === 301 || httpStatus === 307) return wrongRegion(failure, target)
  if (error instanceof Error && error.message === 'Region is missing') {
    return { code: 'STORE_REGION', hint: 'set the region of the bucket, or the variable AWS_REGION' }
  }
  if (CLOCK_CODES.has(name)) {
    return {
      code: 'STORE_CREDENTIALS',
      hint: "correct this machine's clock: S3 accepts 15 minutes of difference",
    }
  }
  if (CREDENTIALS_CODES.has(name) || httpStatus === 401) {
    const hint = CREDENTIALS_HINTS[name]
    return { code: 'STORE_CREDENTIALS', ...(hint === undefined ? {} : { hint }) }
  }
  if (name === 'NoSuchBucket' || name === 'InvalidBucketName') return { code: 'STORE_BUCKET_NOT_FOUND' }
  if (name === 'NotImplemented' || httpStatus === 501) {
    return { code: 'STORE_REQUEST_FAILED', hint: `the server does not implement ${target.action}` }
  }
  if (name === 'InvalidObjectState') {
    return { code: 'STORE_REQUEST_FAILED', hint: 'the object is archived: restore it first' }
  }
  if (THROTTLED_CODES.has(name) || httpStatus === 429 || httpStatus === 503)
    return { code: 'STORE_THROTTLED' }
  if (httpStatus === 403) return accessDenied(target, error)
  if (CERTIFICATE_CODE.test(name)) {
    return {
      code: 'STORE_UNAVAILABLE',
      retryable: false,
      hint: "the server's certificate is not trusted: check the endpoint, or name its authority in NODE_EXTRA_CA_CERTS",
    }
  }
  if (PROTOCOL_CODE.test(name)) {
    return {
      code: 'STORE_UNAVAILABLE',
      retryable: false,
      hint: 'the endpoint does not speak this protocol: check `http` or `https`, and the port',
    }
  }
  if (NO_ADDRESS_CODES.has(name)) {
    return {
      code: 'STORE_UNAVAILABLE',
      hint: 'the name of the endpoint has no address: check the endpoint, the region and the name server; servers other than AWS often want the bucket in the path',
    }
  }
  if (UNAVAILABLE_CODES.has(name) || (httpStatus !== undefined && httpStatus >= 500)) {
    return { code: 'STORE_UNAVAILABLE' }
  }
  return { code: 'STORE_REQUEST_FAILED' }
}

function wrongRegion(failure: S3Failure, target: S3Target): Verdict {
  if (failure.region === undefined) return { code: 'STORE_REGION' }
  const set = target.region === undefined ? 'none is set' : `\`${target.region}\` is set`
  return { code: 'STORE_REGION', hint: `the bucket lives in \`${failure.region}\`, ${set}: set that region` }
}

/** `User: arn:… is not authorized to perform: kms:GenerateDataKey on resource: arn:… with an explicit deny in a …` */
const DENIED_ACTION =
  /not authorized to perform: (?<action>[\w-]+:\w+)(?: on resource: "?(?<resource>[^\s"]+?)"?(?=\s|$))?/
const EXPLICIT_DENY = /with an explicit deny in an? (?<policy>[\w -]+?policy|[\w -]+)/

/** AWS says which action was refused, which may be one that the request leads to: of the key of encryption, for one. */
function accessDenied(target: S3Target, error: unknown): Verdict {
  const said = error instanceof Error ? error.message : ''
  const { action, resource: named } = DENIED_ACTION.exec(said)?.groups ?? {}
  const policy = EXPLICIT_DENY.exec(said)?.groups?.policy
  if (policy !== undefined) {
    const denied = action ?? S3_PERMISSIONS[target.action]
    return {
      code: 'STORE_ACCESS_DENIED',
      hint: `a ${policy} denies ${denied} explicitly, whatever else allows it: change that policy`,
    }
  }
  if (action !== undefined && action !== S3_PERMISSIONS[target.action]) {
    return {
      code: 'STORE_ACCESS_DENIED',
      hint: `grant ${action} on ${named ?? 'the resource that is named'} to this identity`,
    }
  }
  const resource = `arn:aws:s3:::${target.bucket}`
  const permission = S3_PERMISSIONS[target.action]
  if (permission === 's3:ListBucket' || permission === 's3:CreateBucket') {
    return { code: 'STORE_ACCESS_DENIED', hint: `grant ${permission} on ${resource} to this identity` }
  }
  const folder = tableFolder(target.key ?? '')
  const hint = `grant ${permission} on ${resource}/${folder}* to this identity`
  // Without the permission to list, S3 answers 403 where it would answer 404.
  const missing = permission === 's3:GetObject' ? `, and s3:ListBucket on ${resource}` : ''
  return { code: 'STORE_ACCESS_DENIED', hint: hint + missing }
}

/** The folder to grant rights on: not one of the log, of the proof of conditional puts or of a table partition. */
function tableFolder(key: string): string {
  const segments = key.split('/').slice(0, -1)
  const inner = segments.findIndex(segment => segment.startsWith('_') || segment.includes('='))
  return segments
    .slice(0, inner < 0 ? segments.length : inner)
    .map(segment => `${segment}/`)
    .join('')
}

function describeFailure(error: unknown): S3Failure {
  if (!(error instanceof Error)) {
    return { name: 'unknown', httpStatus: undefined, requestId: undefined, region: undefined }
  }
  const metadata = objectField(error, '$metadata')
  const headers = objectField(objectField(error, '$response'), 'headers')
  const systemCode = stringField(error, 'code')
  const s3Code = stringField(error, 'Code')
  const httpStatus = numberField(metadata, 'httpStatusCode')
  return {
    name: s3Code ?? systemCode ?? error.name,
    httpStatus: httpStatus ?? numberField(objectField(error, '$response'), 'statusCode'),
    requestId: stringField(metadata, 'requestId'),
    region: stringField(headers, 'x-amz-bucket-region') ?? stringField(error, 'Region'),
  }
}

/** An error of the program, ours or a library's: it must not look like a failure of the store. */
function isBug(error: unknown): boolean {
  const isProgramError =
    error instanceof TypeError ||
    error instanceof RangeError ||
    error instanceof ReferenceError ||
    error instanceof AssertionError
  return isProgramError && !('$metadata' in error) && !('$response' in error)
}

function field(holder: unknown, name: string): unknown {
  return typeof holder === 'object' && holder !== null ? Reflect.get(holder, name) : undefined
}

function objectField(holder: unknown, name: string): object | undefined {
  const value = field(holder, name)
  return typeof value === 'object' && value !== null ? value : undefined
}

function stringField(holder: unknown, name: string): string | undefined {
  const value = field(holder, name)
  return typeof value === 'string' && value !== '' ? value : undefined
}

function numberField(holder: unknown, name: string): number | undefined {
  const value = field(holder, name)
  return typeof value === 'number' ? value : undefined
}
