/**
 * A thread that is none: what goes to and fro is cloned and moved as between threads, and the work is done in the next
 * turn of the event loop.
 *
 * @module
 */
import { type Runtime, systemRuntime } from '@stream-ingest/delta'
import { DecodeLanes } from '../../src/pipeline/decode-lanes.ts'
import type { RequestKind, ThreadAnswer, ThreadRequests } from '../../src/pipeline/thread-message.ts'
import type { DecodeThread } from '../../src/pipeline/thread-pool.ts'

export class LocalThread implements DecodeThread {
  /** Of every request, in their order. */
  readonly kinds: RequestKind[] = []
  private readonly lanes: DecodeLanes
  private laneCount = 0

  constructor(runtime: Pick<Runtime, 'uuid' | 'monotonicMs'> = systemRuntime) {
    this.lanes = new DecodeLanes(runtime)
  }

  takeLane(): number {
    return this.laneCount++
  }

  async request<K extends RequestKind>(
    kind: K,
    lane: number,
    asks: ThreadRequests[K]['asks'],
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<ThreadRequests[K]['answers']> {
    this.kinds.push(kind)
    const request = structuredClone({ kind, lane, asks }, { transfer: [...transfer] })
    await new Promise(resolve => setImmediate(resolve))
    const { answer, transfer: moved } = this.lanes.answer(request as never)
    const got: ThreadAnswer = structuredClone(answer, { transfer: [...moved] })
    if ('error' in got) throw got.error
    return got.value as never
  }
}
