/**
 * Where a record batch comes from, and the errors that name the place.
 *
 * @module
 */
import { KafkaError } from '../error.ts'

/** A record batch's home: shown as `topic-partition@baseOffset`. */
export interface BatchPlace {
  readonly topic: string
  readonly partition: number
  readonly baseOffset: bigint
}

/** `orders-3@1500`, as every message about a batch names it. */
export function formatBatchPlace(place: BatchPlace): string {
  return `${place.topic}-${place.partition}@${place.baseOffset}`
}

/** The bytes are not what a producer or broker wrote. */
export function corruptBatch(place: BatchPlace, detail: string, cause?: unknown): KafkaError {
  return new KafkaError(
    'KAFKA_CORRUPT_BATCH',
    `record batch \`${formatBatchPlace(place)}\` is damaged: ${detail}`,
    { context: { ...place }, cause },
  )
}

/** The bytes are sound, but of a format that this reader does not know. */
export function unsupportedBatch(place: BatchPlace, detail: string): KafkaError {
  return new KafkaError('KAFKA_BATCH_UNSUPPORTED', `record batch \`${formatBatchPlace(place)}\` ${detail}`, {
    context: { ...place },
  })
}

/** Decompressed, the batch would be larger than allowed. `size` says how large, as far as known. */
export function batchTooLarge(place: BatchPlace, maxBytes: number, size: string): KafkaError {
  return new KafkaError(
    'KAFKA_BATCH_TOO_LARGE',
    `record batch \`${formatBatchPlace(place)}\` holds ${size} decompressed, over the bound of ${maxBytes} bytes`,
    { context: { ...place, maxBytes } },
  )
}
