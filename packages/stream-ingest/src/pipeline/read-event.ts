/**
 * What is told of messages as they come.
 *
 * @module
 */
import { MessageBatch } from '../kafka/message-batch.ts'
import type { SourceChunk } from '../kafka/message-source.ts'
import { publish } from '../observe/event.ts'

/** @param waitMs how long the pipeline waited for it */
export function publishRead(pipeline: string, chunk: SourceChunk, waitMs: number): void {
  const { topicPartition, fromOffset, nextOffset, endOffset, sizeBytes } = chunk
  publish('batch:read', {
    pipeline,
    topic: topicPartition.topic,
    partition: topicPartition.partition,
    messageCount: new MessageBatch([chunk]).recordCountMax,
    sizeBytes,
    fromOffset,
    nextOffset,
    endOffset,
    waitMs,
  })
}
