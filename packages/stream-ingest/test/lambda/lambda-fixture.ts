/**
 * Invocations of tests: events as a Kafka trigger sends them, and contexts with a clock of the test's.
 *
 * @module
 */
import type { Runtime } from '@stream-ingest/delta'
import type { KafkaMessage } from '../../src/kafka/message-batch.ts'
import type { LambdaContext } from '../../src/lambda/lambda-context.ts'
import { NOW_MS } from '../pipeline/table-fixture.ts'

export type Flavour = 'msk' | 'self-managed'

export type EventMessage = Omit<KafkaMessage, 'key' | 'payload' | 'headers'>

/** The event of one batch, in the shape of the flavour; JSON, as it comes. */
export function kafkaEvent(messages: readonly EventMessage[], flavour: Flavour = 'msk'): unknown {
  const records: Record<string, unknown[]> = {}
  for (const message of messages) {
    const key = `${message.topic}-${message.partition}`
    records[key] ??= []
    records[key].push({
      topic: message.topic,
      partition: message.partition,
      offset: Number(message.offset),
      timestamp: message.timestamp ?? -1,
      timestampType: 'CREATE_TIME',
      ...(message.keyBytes === null ? {} : { key: base64(message.keyBytes) }),
      value: message.payloadBytes === null ? null : base64(message.payloadBytes),
      headers: message.headerList.map(([name, value]) => ({
        [name]: value === null ? null : [...new Int8Array(value)],
      })),
    })
  }
  const common = { bootstrapServers: 'b-1.example:9092,b-2.example:9092', records }
  return flavour === 'msk'
    ? {
        eventSource: 'aws:kafka',
        eventSourceArn: 'arn:aws:kafka:eu-west-1:123456789012:cluster/c/0-1',
        ...common,
      }
    : { eventSource: 'SelfManagedKafka', ...common }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

export function context(
  remainingMs: () => number = () => 300_000,
  awsRequestId = 'request-1',
): LambdaContext {
  return { awsRequestId, functionName: 'ingest', getRemainingTimeInMillis: remainingMs }
}

/** Collects lines, each a JSON object. */
export class Lines {
  text = ''

  write(text: string): void {
    this.text += text
  }

  get documents(): Record<string, unknown>[] {
    return this.text
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line))
  }

  /** Values of the metrics lines, added up by name. */
  metric(name: string): number {
    return this.documents
      .filter(document => '_aws' in document)
      .reduce((sum, document) => sum + Number(document[name] ?? 0), 0)
  }
}

/** A clock that moves when the test says so. */
export class ManualClock implements Runtime {
  nowMs = NOW_MS
  #ids = 0
  readonly #waiting = new Set<{ readonly atMs: number; readonly wake: () => void }>()

  now = (): number => this.nowMs
  monotonicMs = (): number => this.nowMs
  random = (): number => 0.5
  uuid = (): string => `00000000-0000-4000-8000-${String(this.#ids++).padStart(12, '0')}`
  delay = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = { atMs: this.nowMs + ms, wake: resolve }
      this.#waiting.add(timer)
      signal?.addEventListener('abort', () => {
        this.#waiting.delete(timer)
        reject(signal.reason)
      })
    })

  /** Moves to the next instant that something waits for, and lets everything run that can. */
  async tick(): Promise<void> {
    const next = [...this.#waiting].sort((a, b) => a.atMs - b.atMs)[0]
    if (next !== undefined) {
      this.#waiting.delete(next)
      this.nowMs = Math.max(this.nowMs, next.atMs)
      next.wake()
    }
    await new Promise(setImmediate)
  }
}
