/**
 * Transactions written by Kafka's own Java client, step by step as a test says.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { CompressionCodec } from '../../packages/stream-ingest/src/kafka/compression.ts'
import { installKafka } from '../stack/kafka.ts'
import { StackError } from '../stack/stack-error.ts'

const PROGRAM = fileURLToPath(new URL('TransactionWriter.java', import.meta.url))

/** One command at a time, each done when its promise resolves. A producer is named by its transactional id. */
export class TransactionWriter {
  readonly #java: ChildProcessByStdio<Writable, Readable, null>
  readonly #answers: AsyncIterator<string>
  readonly #lines: Interface

  private constructor(java: ChildProcessByStdio<Writable, Readable, null>) {
    this.#java = java
    this.#lines = createInterface({ input: java.stdout })
    this.#answers = this.#lines[Symbol.asyncIterator]()
  }

  static async start(bootstrapServers: string, codec: CompressionCodec = 'none'): Promise<TransactionWriter> {
    const classPath = await installKafka()
    const args = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Dlog4j2.level=ERROR', '-cp', classPath]
    const java = spawn('java', [...args, PROGRAM, bootstrapServers, codec], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await once(java, 'spawn')
    return new TransactionWriter(java)
  }

  async begin(producer: string): Promise<void> {
    await this.#command('begin', producer)
  }

  /** Writes the values as one batch, on the broker when this resolves. Returns the first one's offset. */
  async send(
    producer: string,
    topic: string,
    partition: number,
    values: readonly (string | Uint8Array)[],
  ): Promise<bigint> {
    const encoded = values.map(value => Buffer.from(value as string).toString('base64'))
    return BigInt(await this.#command('send', producer, topic, String(partition), ...encoded))
  }

  /** The marker may reach the partitions a little later: it is there once the last stable offset is past it. */
  async commit(producer: string): Promise<void> {
    await this.#command('commit', producer)
  }

  async abort(producer: string): Promise<void> {
    await this.#command('abort', producer)
  }

  /** Ends the process. Transactions still open stay open until the broker's time for them is over. */
  async close(): Promise<void> {
    this.#lines.close()
    if (this.#java.exitCode !== null || this.#java.signalCode !== null) return
    const ended = once(this.#java, 'exit')
    this.#java.stdin.end()
    await ended
  }

  async #command(...fields: readonly string[]): Promise<string> {
    assert(!fields.some(field => /[\t\n]/.test(field)), 'fields hold no separators')
    this.#java.stdin.write(`${fields.join('\t')}\n`)
    const answer = await this.#answers.next()
    if (answer.done) throw new StackError(`the transaction writer ended during \`${fields[0]}\``)
    const [status, detail = ''] = answer.value.split('\t')
    if (status !== 'ok') throw new StackError(`\`${fields[0]} ${fields[1]}\`: ${detail}`)
    return detail
  }
}
