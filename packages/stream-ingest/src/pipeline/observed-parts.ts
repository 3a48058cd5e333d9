/**
 * A pipeline's Kafka and its store, whose requests and retries are told as events.
 *
 * @module
 */
import type { ObjectStore, Runtime } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { KafkaObserver } from '../kafka/cluster.ts'
import { publish } from '../observe/event.ts'
import { S3Client } from '../s3/s3-client.ts'
import type { IngestMetrics } from './ingest-metrics.ts'
import { ObservedStore } from './observed-store.ts'

export interface LakeOptions {
  /** In place of the configured one, rooted where the tables' folders are. */
  readonly store?: ObjectStore | undefined
  /** Around whichever store is used: fault injection. */
  readonly wrapStore?: ((store: ObjectStore) => ObjectStore) | undefined
  /** Retries are counted there. */
  readonly metrics?: IngestMetrics | undefined
}

/** Makes no request. */
export function openLake(
  config: PipelineConfig,
  runtime: Runtime,
  { store, wrapStore, metrics }: LakeOptions,
): S3Client {
  const pipeline = config.name
  return new S3Client(config.s3, {
    runtime,
    processing: config.processing,
    ...(store === undefined ? {} : { store }),
    wrapStore: inner => new ObservedStore(wrapStore?.(inner) ?? inner, pipeline, runtime),
    onRetry: ({ action, error }) => {
      if (metrics !== undefined) metrics.storeRetries++
      publish('store:retried', { pipeline, request: action, error })
    },
  })
}

/** @param metrics retries are counted there */
export function observeKafka(pipeline: string, metrics: IngestMetrics): KafkaObserver {
  return {
    fetched: fetch => publish('kafka:fetched', { pipeline, ...fetch }),
    retried: error => {
      metrics.kafkaRetries++
      publish('kafka:retried', { pipeline, error })
    },
  }
}
