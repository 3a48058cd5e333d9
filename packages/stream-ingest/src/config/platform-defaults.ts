/**
 * Defaults of `processing` that hang on where the process runs.
 *
 * On AWS Lambda memory and time are what was bought: AWS_LAMBDA_FUNCTION_MEMORY_SIZE says how much, a function is killed
 * at 15 minutes (14 behind a Kafka trigger), and one that is killed has read in vain what it had not committed.
 *
 * @module
 */
import type { Environment } from './interpolation.ts'

const MIB = 2 ** 20
export const MEMORY_LIMIT_DEFAULT_BYTES = 512 * MIB
export const LAMBDA_RUNTIME_LIMIT_MS = 840_000
/** What a process holds that buffers nothing: Node, the code, the AWS SDK. */
const LAMBDA_BASE_BYTES = 256 * MIB
/** Resident bytes for each byte of the limit: columns, their encoded form, and what awaits collection. */
const LAMBDA_BYTES_PER_LIMIT_BYTE = 3
const LAMBDA_MEMORY_LIMIT_MIN_BYTES = 16 * MIB

export interface PlatformDefaults {
  /** Of each pipeline. */
  readonly memoryLimitBytes: number
  readonly runtimeLimitMs?: number
  /** Without one, by the number of cores. */
  readonly workers?: number
}

/** @param pipelineCount those that share the process */
export function platformDefaults(environment: Environment, pipelineCount: number): PlatformDefaults {
  if (environment.AWS_LAMBDA_RUNTIME_API === undefined)
    return { memoryLimitBytes: MEMORY_LIMIT_DEFAULT_BYTES }
  const functionMib = Number(environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE)
  // A function has one core up to 1,769 MB, and a thread costs memory.
  const atAnySize = { runtimeLimitMs: LAMBDA_RUNTIME_LIMIT_MS, workers: 0 }
  if (!Number.isFinite(functionMib) || functionMib <= 0) {
    return { memoryLimitBytes: LAMBDA_MEMORY_LIMIT_MIN_BYTES, ...atAnySize }
  }
  const sharedBytes = (functionMib * MIB - LAMBDA_BASE_BYTES) / LAMBDA_BYTES_PER_LIMIT_BYTE
  const ownBytes = Math.floor(sharedBytes / Math.max(1, pipelineCount))
  const memoryLimitBytes = Math.min(
    MEMORY_LIMIT_DEFAULT_BYTES,
    Math.max(LAMBDA_MEMORY_LIMIT_MIN_BYTES, ownBytes),
  )
  return { memoryLimitBytes, ...atAnySize }
}
