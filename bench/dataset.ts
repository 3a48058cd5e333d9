/**
 * The same messages in a topic and in a file of lines: ours and the consumers read the topic, DuckDB and Polars the file.
 *
 * @module
 */
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { CompressionCodec } from '../packages/stream-ingest/src/kafka/compression.ts'
import type { EncodableRecord } from '../packages/stream-ingest/src/kafka/record-batch-encoder.ts'
import type { KafkaProducer } from '../scripts/kafka-producer.ts'
import type { Column, Shape, ShapeMessage } from './shapes/shape.ts'

const SEED = 1
const NEWLINE = Buffer.from('\n')
const WRITE_BYTES = 1024 * 1024

export interface Topic {
  readonly kafka: string
  readonly topic: string
  readonly columns: readonly Column[]
  readonly messageCount: number
  /** Of the messages' values. */
  readonly valueBytes: number
}

export interface Dataset extends Topic {
  /** Newline-delimited JSON. */
  readonly file: string
}

export interface FillTopicOptions {
  readonly producer: KafkaProducer
  readonly kafka: string
  readonly topic: string
  readonly partitionCount: number
  readonly codec: CompressionCodec
}

/** Makes a topic and fills it, the message of index `i` into partition `i` modulo their number. */
export async function fillTopic(
  options: FillTopicOptions,
  columns: readonly Column[],
  messages: Iterable<ShapeMessage>,
): Promise<Topic> {
  const { producer, kafka, topic, partitionCount, codec } = options
  let messageCount = 0
  let valueBytes = 0
  function* counted(): Generator<EncodableRecord> {
    for (const { key, value, timestampMs } of messages) {
      messageCount++
      valueBytes += value.length
      yield { key, value, timestampMs }
    }
  }
  await producer.createTopic(topic, partitionCount)
  await producer.fill(topic, partitionCount, counted(), { codec })
  return { kafka, topic, columns, messageCount, valueBytes }
}

/** {@link fillTopic}, and a file of the same messages in `folder`. */
export async function createDataset(
  options: FillTopicOptions,
  shape: Shape,
  messageCount: number,
  folder: string,
): Promise<Dataset> {
  const file = join(folder, `${shape.name}.ndjson`)
  await writeLines(file, shape.messages(SEED, messageCount))
  return { ...(await fillTopic(options, shape.columns, shape.messages(SEED, messageCount))), file }
}

async function writeLines(path: string, messages: Iterable<ShapeMessage>): Promise<void> {
  const file = await open(path, 'w')
  try {
    let waiting: Uint8Array[] = []
    let waitingBytes = 0
    for (const { value } of messages) {
      waiting.push(value, NEWLINE)
      waitingBytes += value.length + 1
      if (waitingBytes < WRITE_BYTES) continue
      await writeWhole(file, waiting)
      waiting = []
      waitingBytes = 0
    }
    await writeWhole(file, waiting)
  } finally {
    await file.close()
  }
}

async function writeWhole(file: FileHandle, parts: readonly Uint8Array[]): Promise<void> {
  await file.appendFile(Buffer.concat(parts))
}
