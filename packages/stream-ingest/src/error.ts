/**
 * Errors of the product: one class per kind, each with a code of the closed list in `error-code.ts`.
 *
 * Expected outcomes are values, bugs are assertions: neither is a {@link StreamIngestError}.
 *
 * @module
 */
import { DELTA_ERRORS, type DeltaErrorCode } from '@stream-ingest/delta/error'
import {
  DELTA_EXIT_CODES,
  ERRORS,
  type ErrorCode,
  type ErrorDefinition,
  type ErrorKind,
} from './error-code.ts'
import { causesOf, originOf } from './error-origin.ts'

export * from './error-code.ts'

export interface ErrorOptions {
  readonly retryable?: boolean
  readonly hint?: string
  /** Facts for the log line. Never secrets. */
  readonly context?: Readonly<Record<string, string | number | bigint | boolean | null | undefined>>
  readonly cause?: unknown
}

/** Defaults of `getRetryDelayMs`. */
export const RETRY_BASE_DELAY_MS = 200
export const RETRY_MAX_DELAY_MS = 30_000
const DOUBLINGS_MAX = 30

/** The root of all errors that the product shows. */
export abstract class StreamIngestError extends Error {
  abstract readonly kind: ErrorKind
  /** Stable: documentation, exit codes and alerts hang on it. */
  readonly code: string
  readonly hint: string
  readonly context: NonNullable<ErrorOptions['context']>
  readonly exitCode: number
  private readonly retryable: boolean
  private readonly skipMessage: boolean

  constructor(code: ErrorCode | DeltaErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    const definition = definitionOf(code)
    this.code = code
    this.hint = options.hint ?? definition.hint
    this.context = options.context ?? {}
    this.exitCode = definition.exitCode
    this.retryable = options.retryable ?? definition.retryable ?? false
    this.skipMessage = definition.skipMessage ?? false
  }

  /** May the same call succeed later? */
  isRetryable(): boolean {
    return this.retryable
  }

  /** Is one message at fault, so that the flow may go on without it? */
  shouldSkipMessage(): boolean {
    return this.skipMessage
  }

  /**
   * How long to wait before attempt `attempt + 1`: exponential with full jitter, capped at {@link RETRY_MAX_DELAY_MS}.
   *
   * @param attempt how many attempts have failed, from 1
   * @param random in [0, 1)
   */
  getRetryDelayMs(attempt = 1, random: () => number = Math.random): number {
    const doublings = Math.min(Math.max(0, attempt - 1), DOUBLINGS_MAX)
    return Math.floor(random() * Math.min(RETRY_MAX_DELAY_MS, RETRY_BASE_DELAY_MS * 2 ** doublings))
  }

  /**
   * Classifies anything thrown: ours as it is, the Delta core's, the AWS SDK's, the Kafka client's, the operating
   * system's, an abort. What is none of these is a bug: `INTERNAL`, never worth a retry, never one message's fault.
   * The original is the `cause`.
   */
  static from(thrown: unknown): StreamIngestError {
    for (const cause of causesOf(thrown)) if (cause instanceof StreamIngestError) return cause
    const { kind, code, message, ...options } = originOf(thrown)
    return new CLASS_OF_ORIGIN[kind](code, message, { ...options, cause: thrown })
  }
}

/** What the registry says of a code. */
export function definitionOf(code: ErrorCode | DeltaErrorCode): ErrorDefinition {
  if (code in ERRORS) return ERRORS[code as ErrorCode]
  const deltaCode = code as DeltaErrorCode
  return { ...DELTA_ERRORS[deltaCode], exitCode: DELTA_EXIT_CODES[deltaCode] }
}

/** One finding in a configuration text: where it is, what is wrong, what would be right. */
export interface Diagnostic {
  readonly code: ErrorCode
  readonly severity: 'error' | 'warning'
  /** The file as it was named; `<text>` for a text that came from no file. */
  readonly file: string
  /** From 1, as `column` (in UTF-16 units); the end is exclusive. */
  readonly line: number
  readonly column: number
  readonly endLine: number
  readonly endColumn: number
  readonly message: string
  readonly help: string | null
  /** What should stand there instead, where that is known. */
  readonly suggestion: string | null
  /** The line with secrets masked, and which part of it is meant; null where there is no such line. */
  readonly frame: { readonly text: string; readonly start: number; readonly length: number } | null
}

export class ConfigError extends StreamIngestError {
  override readonly name = 'ConfigError'
  readonly kind = 'config'
  /** Everything that was found, errors and warnings, in the order of the text. */
  readonly diagnostics: readonly Diagnostic[]

  constructor(
    code: ErrorCode,
    message: string,
    options: ErrorOptions & { readonly diagnostics?: readonly Diagnostic[] } = {},
  ) {
    super(code, message, options)
    this.diagnostics = options.diagnostics ?? []
  }
}
export class KafkaError extends StreamIngestError {
  override readonly name = 'KafkaError'
  readonly kind = 'kafka'
}
export class DeltaError extends StreamIngestError {
  override readonly name = 'DeltaError'
  readonly kind = 'delta'
}
export class S3Error extends StreamIngestError {
  override readonly name = 'S3Error'
  readonly kind = 's3'
}
export class LambdaError extends StreamIngestError {
  override readonly name = 'LambdaError'
  readonly kind = 'lambda'
}
export class SerializationError extends StreamIngestError {
  override readonly name = 'SerializationError'
  readonly kind = 'serialization'
}
export class IoError extends StreamIngestError {
  override readonly name = 'IoError'
  readonly kind = 'io'
}
export class GenericError extends StreamIngestError {
  override readonly name = 'GenericError'
  readonly kind = 'generic'
}

const CLASS_OF_ORIGIN = {
  kafka: KafkaError,
  delta: DeltaError,
  s3: S3Error,
  io: IoError,
  generic: GenericError,
} as const
