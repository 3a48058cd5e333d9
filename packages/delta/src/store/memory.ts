/**
 * An object store in memory that can be told to fail, for tests of whatever stands on a store.
 *
 * It is as strict as the real ones (copies of bodies, byte order, one winner) and deterministic: its faults come from a
 * hook, its clock and its waiting can be given.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { DeltaLakeError } from '../error.ts'
import { checkKey, checkPrefix, compareKeys, joinKey, normalizeRoot } from './object-key.ts'
import type {
  ByteRange,
  ListOptions,
  ObjectBody,
  ObjectInfo,
  ObjectStore,
  PutIfAbsentResult,
  RequestOptions,
} from './object-store.ts'
import { InjectedCrash, type StoreCall, type StoreFault, type StoreFaultHook } from './store-fault.ts'

/** As S3's: a listing sees what is there when its page is read. */
const LIST_PAGE_SIZE = 1000

export interface MemoryStoreOptions {
  /** Shown in `uri` as `memory:<name>`. Default: none. */
  readonly name?: string
  /** Epoch milliseconds for `lastModifiedMs`. Default: the wall clock. */
  readonly now?: () => number
  /** Waits out a `slow` fault. Default: a timer. */
  readonly wait?: (delayMs: number, signal?: AbortSignal) => Promise<void>
  /** Asked once per call, before anything is done. */
  readonly faults?: StoreFaultHook
}

interface StoredObject {
  readonly body: Uint8Array
  readonly lastModifiedMs: number
}

/** What a store and all that came from its `at` share. */
class MemoryState {
  readonly objects = new Map<string, StoredObject>()
  /** The map's keys in byte order. */
  readonly sortedKeys: string[] = []
  readonly lateWrites: (() => void)[] = []
  readonly options: Required<Omit<MemoryStoreOptions, 'name'>>
  callCount = 0

  constructor(options: MemoryStoreOptions) {
    this.options = {
      now: options.now ?? Date.now,
      wait: options.wait ?? ((delayMs, signal) => delay(delayMs, undefined, signal ? { signal } : {})),
      faults: options.faults ?? (() => undefined),
    }
  }

  write(path: string, body: Uint8Array): void {
    if (!this.objects.has(path)) this.sortedKeys.splice(this.indexAfter(path), 0, path)
    this.objects.set(path, { body, lastModifiedMs: this.options.now() })
  }

  writeIfAbsent(path: string, body: Uint8Array): PutIfAbsentResult {
    if (this.objects.has(path)) return { status: 'exists' }
    this.write(path, body)
    return { status: 'created' }
  }

  remove(path: string): void {
    if (this.objects.delete(path)) this.sortedKeys.splice(this.indexAfter(path) - 1, 1)
  }

  /** Index of the first key behind `path` in byte order. */
  indexAfter(path: string): number {
    let low = 0
    let high = this.sortedKeys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareKeys(this.sortedKeys[middle]!, path) <= 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Up to a page of keys that start with `start` and come after `after`. */
  page(start: string, after: string | null, shallow: boolean): { paths: string[]; last: string | null } {
    const paths: string[] = []
    let index = this.indexAfter(start)
    if (index > 0 && this.sortedKeys[index - 1] === start) index -= 1
    if (after !== null) index = Math.max(index, this.indexAfter(after))
    for (; index < this.sortedKeys.length && this.sortedKeys[index]!.startsWith(start); index++) {
      const path = this.sortedKeys[index]!
      if (shallow && path.includes('/', start.length)) continue
      paths.push(path)
      if (paths.length === LIST_PAGE_SIZE) return { paths, last: path }
    }
    return { paths, last: null }
  }
}

/** A memory store's objects below a prefix. */
class MemoryRoot implements ObjectStore {
  readonly uri: string
  readonly #prefix: string
  readonly #state: MemoryState

  constructor(uri: string, prefix: string, state: MemoryState) {
    this.uri = uri
    this.#prefix = prefix
    this.#state = state
  }

  async get(
    key: string,
    options: RequestOptions & { readonly range?: ByteRange } = {},
  ): Promise<Uint8Array | null> {
    const path = this.#path(key)
    const { range } = options
    if (range) assert(range.startByte >= 0 && range.startByte <= range.endByte, 'byte range runs backwards')
    return this.#perform('get', path, options, () => {
      const body = this.#state.objects.get(path)?.body
      if (body === undefined) return null
      return range ? body.slice(range.startByte, range.endByte) : body.slice()
    })
  }

  async head(key: string, options: RequestOptions = {}): Promise<ObjectInfo | null> {
    const path = this.#path(key)
    return this.#perform('head', path, options, () => {
      const object = this.#state.objects.get(path)
      return object === undefined ? null : describe(key, object)
    })
  }

  async put(key: string, body: Uint8Array, options: RequestOptions = {}): Promise<void> {
    const path = this.#path(key)
    const copy = Uint8Array.from(body)
    await this.#perform('put', path, options, () => this.#state.write(path, copy))
  }

  async putIfAbsent(key: string, body: ObjectBody, options: RequestOptions = {}): Promise<PutIfAbsentResult> {
    const path = this.#path(key)
    const copy = body instanceof Uint8Array ? Uint8Array.from(body) : await collect(body)
    try {
      return await this.#perform('putIfAbsent', path, options, () => this.#state.writeIfAbsent(path, copy))
    } catch (error) {
      if (error instanceof DeltaLakeError) return { status: 'unknown', cause: error }
      throw error
    }
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    checkPrefix(prefix)
    const root = this.#prefix === '' ? '' : `${this.#prefix}/`
    let after = options.startAfter === undefined ? null : root + options.startAfter
    await this.#perform('list', root + prefix, options, () => undefined)
    do {
      const { paths, last } = this.#state.page(root + prefix, after, options.shallow === true)
      for (const path of paths) {
        options.signal?.throwIfAborted()
        const object = this.#state.objects.get(path)
        if (object !== undefined) yield describe(path.slice(root.length), object)
      }
      after = last
    } while (after !== null)
  }

  async delete(keys: readonly string[], options: RequestOptions = {}): Promise<void> {
    const paths = keys.map(key => this.#path(key))
    if (paths.length === 0) return
    await this.#perform('delete', paths[0]!, options, () => {
      for (const path of paths) this.#state.remove(path)
    })
  }

  at(prefix: string): ObjectStore {
    const root = normalizeRoot(prefix)
    if (root === '') return this
    return new MemoryRoot(`${this.uri}/${root}`, joinKey(this.#prefix, root), this.#state)
  }

  async close(): Promise<void> {}

  #path(key: string): string {
    checkKey(key)
    return joinKey(this.#prefix, key)
  }

  /** Does the work, or what the fault hook makes of it. The work itself is synchronous, hence atomic. */
  async #perform<T>(
    operation: StoreCall['operation'],
    key: string,
    options: RequestOptions,
    work: () => T,
  ): Promise<T> {
    options.signal?.throwIfAborted()
    const call: StoreCall = { operation, key, ordinal: this.#state.callCount++ }
    let fault = this.#state.options.faults(call)
    // A call never completes in the same turn, so that callers interleave as over a network.
    await Promise.resolve()
    if (fault?.kind === 'slow') {
      await this.#state.options.wait(fault.delayMs, options.signal)
      options.signal?.throwIfAborted()
      fault = fault.outcome
    }
    return fault === undefined ? work() : this.#fail(call, fault, work)
  }

  #fail<T>(call: StoreCall, fault: Exclude<StoreFault, { kind: 'slow' }>, work: () => T): T {
    switch (fault.kind) {
      case 'lost-answer':
        work()
        throw this.#unavailable(call, 'the answer was lost')
      case 'own-earlier-write':
        assert(call.operation === 'putIfAbsent', '`own-earlier-write` is a fault of putIfAbsent')
        // The same work again: the first answer is lost inside the client, the second says that an object is there.
        work()
        return work()
      case 'conflict':
        assert(call.operation === 'putIfAbsent', '`conflict` is a fault of putIfAbsent')
        throw this.#unavailable(call, 'the store answered 409')
      case 'throttled':
        throw new DeltaLakeError('STORE_THROTTLED', `${this.#place(call)}: the store answered 503`)
      case 'timeout':
        throw this.#unavailable(call, 'no answer in time')
      case 'late-write':
        assert(call.operation.startsWith('put'), '`late-write` is a fault of writes')
        this.#state.lateWrites.push(work)
        throw this.#unavailable(call, 'no answer in time')
      case 'partial-upload':
        assert(call.operation.startsWith('put'), '`partial-upload` is a fault of writes')
        throw this.#unavailable(call, 'the upload broke off')
      case 'crash':
        if (fault.moment === 'after') work()
        throw new InjectedCrash(call, fault.moment)
    }
  }

  #unavailable(call: StoreCall, problem: string): DeltaLakeError {
    return new DeltaLakeError('STORE_UNAVAILABLE', `${this.#place(call)}: ${problem}`, {
      context: { operation: call.operation, key: call.key },
    })
  }

  #place(call: StoreCall): string {
    return `${call.operation} of \`${call.key}\` in \`${this.uri}\` failed (injected)`
  }
}

/** A store whose objects live as long as it does. */
export class MemoryObjectStore extends MemoryRoot {
  readonly #state: MemoryState

  constructor(options: MemoryStoreOptions = {}) {
    const state = new MemoryState(options)
    super(`memory:${options.name ?? ''}`, '', state)
    this.#state = state
  }

  /** Calls made so far on this store and all that came from its `at`; a listing is one. */
  get callCount(): number {
    return this.#state.callCount
  }

  /**
   * Does the writes that `late-write` faults held back, in the order of the calls; a conditional one only where
   * nothing is by then. Returns how many there were.
   */
  deliverLateWrites(): number {
    const writes = this.#state.lateWrites.splice(0)
    for (const write of writes) write()
    return writes.length
  }
}

function describe(key: string, object: StoredObject): ObjectInfo {
  return { key, sizeBytes: object.body.byteLength, lastModifiedMs: object.lastModifiedMs }
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(Uint8Array.from(piece))
  return Uint8Array.from(Buffer.concat(all))
}
