/**
 * How a failure looks: matter of fact, with the next step; a stack only for bugs.
 *
 * @module
 */
import { countDiagnostics, formatDiagnostics } from '../config/diagnostic-format.ts'
import { ConfigError, EXIT_CODES, type StreamIngestError } from '../error.ts'

/** `code` is stable; `context` holds facts, never secrets. */
export interface ErrorDocument {
  readonly error: {
    readonly kind: string
    readonly code: string
    readonly message: string
    readonly hint: string
    readonly retryable: boolean
    readonly context: Readonly<Record<string, unknown>>
  }
}

/** Which pipeline failed, and where it goes on when it is started again. */
export interface FailurePlace {
  readonly pipeline: string
  readonly table: string
  /** Null where it is not known. */
  readonly version: number | null
  readonly partitions: readonly {
    readonly topic: string
    readonly partition: number
    readonly nextOffset: bigint
  }[]
}

/** Partitions whose next offset is shown in the text; all of them are in the JSON document. */
const PARTITIONS_SHOWN_MAX = 8

export function errorDocument(error: StreamIngestError, place?: FailurePlace): ErrorDocument {
  return {
    error: {
      kind: error.kind,
      code: error.code,
      message: error.message,
      hint: error.hint,
      retryable: error.isRetryable(),
      context:
        place === undefined
          ? error.context
          : { pipeline: place.pipeline, table: place.table, ...error.context },
    },
  }
}

/** The chain of causes below the message, one line each; a system error at the bottom says what the system said. */
function causeLines(error: unknown, depthMax = 5): string[] {
  const lines: string[] = []
  let cause = error instanceof Error ? error.cause : undefined
  for (let depth = 0; cause !== undefined && depth < depthMax; depth++) {
    const text = cause instanceof Error ? cause.message : String(cause)
    if (text !== '' && !lines.includes(text)) lines.push(text)
    cause = cause instanceof Error ? cause.cause : undefined
  }
  return lines
}

function placeLines({ pipeline, table, version, partitions }: FailurePlace): string[] {
  const lines = [`  pipeline ${pipeline} · table ${table}${version === null ? '' : ` v${version}`}`]
  if (partitions.length === 0) return lines
  const shown = partitions.slice(0, PARTITIONS_SHOWN_MAX)
  const places = shown.map(({ topic, partition, nextOffset }) => `${topic}[${partition}]@${nextOffset}`)
  if (shown.length < partitions.length) places.push(`… ${partitions.length - shown.length} more`)
  return [...lines, `  = note: a restart resumes at ${places.join(', ')}`]
}

/** The text form, several lines, with a final newline. */
export function formatError(error: StreamIngestError, verbose = false, place?: FailurePlace): string {
  if (error instanceof ConfigError && error.diagnostics.length > 0) {
    const code = error.diagnostics.find(({ severity }) => severity === 'error')?.code ?? error.code
    return `${formatDiagnostics(error.diagnostics)}\n\n${countDiagnostics(error.diagnostics)}.   More: stream-ingest explain ${code}\n`
  }
  const lines = [`error[${error.code}]: ${error.message}`]
  if (place !== undefined) lines.push(...placeLines(place))
  for (const line of causeLines(error)) if (!error.message.includes(line)) lines.push(`  = cause: ${line}`)
  if (error.hint !== '') lines.push(`  = help: ${error.hint}`)
  // A wrong word on the command line has said everything.
  if (error.code !== 'CONFIG_USAGE') lines.push(`  = more: stream-ingest explain ${error.code}`)
  const stack = error.cause instanceof Error ? error.cause.stack : error.stack
  if ((verbose || error.exitCode === EXIT_CODES.internal) && stack !== undefined) lines.push(stack)
  return `${lines.join('\n')}\n`
}
