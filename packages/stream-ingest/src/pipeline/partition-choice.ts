/**
 * The topic partitions that somebody names, out of those that a pipeline reads.
 *
 * @module
 */
import { ConfigError } from '../error.ts'
import type { TopicPartition } from '../kafka/message-source.ts'

export interface PartitionChoice {
  /** Of several topics: this one only. */
  readonly topic?: string
  /** Of each topic; all by default. */
  readonly partitions?: readonly number[]
}

/** @throws ConfigError `CONFIG_USAGE` for what the pipeline does not read */
export function choosePartitions(
  pipeline: string,
  assignment: readonly TopicPartition[],
  { topic, partitions }: PartitionChoice,
): TopicPartition[] {
  const chosen = assignment.filter(
    tp => (topic === undefined || tp.topic === topic) && (partitions?.includes(tp.partition) ?? true),
  )
  const missing = partitions?.filter(number => !chosen.some(({ partition }) => partition === number)) ?? []
  if (missing.length === 0 && chosen.length > 0) return chosen
  const names = missing.length > 0 ? `partition ${missing.join(', ')}` : `topic \`${topic}\``
  throw new ConfigError('CONFIG_USAGE', `\`${pipeline}\` does not read ${names}`, {
    hint: `it reads ${assignment.map(tp => `${tp.topic}[${tp.partition}]`).join(', ')}`,
  })
}
