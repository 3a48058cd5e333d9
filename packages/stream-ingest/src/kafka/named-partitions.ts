/**
 * Topic partitions of which nothing is known but the name of their topic.
 *
 * @module
 */
import type { TopicPartition } from './message-source.ts'

/** One object for each of them: progress hangs on its identity. */
export class NamedPartitions {
  private readonly known = new Map<string, TopicPartition>()

  of(topic: string, partition: number): TopicPartition {
    const key = `${partition} ${topic}`
    let found = this.known.get(key)
    if (found === undefined) {
      found = { topic, topicId: topic, partition }
      this.known.set(key, found)
    }
    return found
  }
}
