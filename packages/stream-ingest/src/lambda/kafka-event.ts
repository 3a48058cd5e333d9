/**
 * Events of a Kafka trigger (event source mapping), of Amazon MSK and of self-managed clusters, as messages.
 *
 * Lambda Developer Guide › Using Lambda with Kafka: `records` maps `topic-partition` to a list of records; keys and values
 * are base64; headers are objects of one name each, whose bytes come as signed numbers. Topic and partition are taken from
 * the records: a topic's name may hold a `-`.
 *
 * @module
 */
import { LambdaError } from '../error.ts'
import type { KafkaMessage } from '../kafka/message-batch.ts'

/** The records of one key of the event. */
export interface KafkaEventPartition {
  /** As the event has it: what `batchItemFailures` must name. */
  readonly identifier: string
  readonly topic: string
  readonly partition: number
  readonly messages: readonly KafkaMessage[]
}

export interface KafkaEvent {
  readonly partitions: readonly KafkaEventPartition[]
}

type Fields = Readonly<Record<string, unknown>>

/** @throws LambdaError `LAMBDA_EVENT` naming the place of what is malformed */
export function parseKafkaEvent(event: Fields): KafkaEvent {
  const { records } = event
  if (!isFields(records)) throw malformed('records', 'is not an object')
  const partitions = Object.entries(records).flatMap(([identifier, list]) => {
    const place = `records["${identifier}"]`
    if (!Array.isArray(list)) throw malformed(place, 'is not a list')
    if (list.length === 0) return []
    const messages = list.map((record, i) => parseRecord(record, `${place}[${i}]`))
    const { topic, partition } = messages[0]!
    const other = messages.findIndex(message => message.topic !== topic || message.partition !== partition)
    if (other >= 0) throw malformed(`${place}[${other}]`, 'is of another topic or partition than the first')
    return [{ identifier, topic, partition, messages }]
  })
  return { partitions }
}

function parseRecord(record: unknown, place: string): KafkaMessage {
  if (!isFields(record)) throw malformed(place, 'is not an object')
  const { topic, partition, offset, timestamp } = record
  if (typeof topic !== 'string' || topic === '') throw malformed(`${place}.topic`, 'is not a name')
  if (!isCount(partition)) throw malformed(`${place}.partition`, 'is not a partition number')
  // Beyond 2^53 a JSON number is not the offset that Kafka has.
  if (!isCount(offset)) throw malformed(`${place}.offset`, 'is not an offset below 2^53')
  if (timestamp !== undefined && timestamp !== null && !Number.isSafeInteger(timestamp)) {
    throw malformed(`${place}.timestamp`, 'is not a number of milliseconds')
  }
  // A null key comes as an empty text from some clusters, and nobody keys by nothing.
  const keyBytes = record.key === '' ? null : parseBase64(record.key, `${place}.key`)
  const payloadBytes = parseBase64(record.value, `${place}.value`)
  const headerList = parseHeaders(record.headers, `${place}.headers`)
  return {
    topic,
    partition,
    offset: BigInt(offset),
    timestamp: typeof timestamp === 'number' && timestamp >= 0 ? timestamp : null,
    keyBytes,
    payloadBytes,
    headerList,
    key: textOf(keyBytes),
    payload: textOf(payloadBytes),
    headers: Object.fromEntries(headerList.map(([name, value]) => [name, textOf(value) ?? ''])),
  }
}

/** Null and absent are one: the record has none. */
function parseBase64(value: unknown, place: string): Uint8Array | null {
  if (value === null || value === undefined) return null
  if (typeof value !== 'string') throw malformed(place, 'is not base64')
  const bytes = Buffer.from(value, 'base64')
  const padding = value.endsWith('==') ? 2 : value.endsWith('=') ? 1 : 0
  // Node passes over what is no base64, and stops where it was cut off.
  if (value.length % 4 !== 0 || bytes.length !== (value.length / 4) * 3 - padding) {
    throw malformed(place, 'is not base64, or was cut off')
  }
  return bytes
}

function parseHeaders(headers: unknown, place: string): [string, Uint8Array | null][] {
  if (headers === null || headers === undefined) return []
  if (!Array.isArray(headers)) throw malformed(place, 'is not a list')
  return headers.flatMap((header, i) => {
    if (!isFields(header)) throw malformed(`${place}[${i}]`, 'is not an object')
    return Object.entries(header).map(([name, value]): [string, Uint8Array | null] => {
      if (value === null) return [name, null]
      if (!Array.isArray(value) || !value.every(isSignedByte)) {
        throw malformed(`${place}[${i}].${name}`, 'is not a list of bytes')
      }
      // −128 to 127 wrap to 128 to 255.
      return [name, Uint8Array.from(value)]
    })
  })
}

function isSignedByte(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= -128 && (value as number) <= 255
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(bytes: Uint8Array | null): string | null {
  if (bytes === null) return null
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

function malformed(place: string, problem: string): LambdaError {
  return new LambdaError('LAMBDA_EVENT', `the Kafka event is malformed: \`${place}\` ${problem}`, {
    hint: 'the whole batch is delivered again; if a proxy changes events, let it pass them as they are',
    context: { place },
  })
}
