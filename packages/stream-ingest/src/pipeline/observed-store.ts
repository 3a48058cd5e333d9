/**
 * A store whose calls are told to whoever listens: which, how long, and what went wrong.
 *
 * @module
 */
import type {
  ListOptions,
  ObjectBody,
  ObjectInfo,
  ObjectStore,
  PutIfAbsentResult,
  RequestOptions,
  Runtime,
} from '@stream-ingest/delta'
import { hasListeners, publish, type StoreOperation } from '../observe/event.ts'

export class ObservedStore implements ObjectStore {
  readonly uri: string
  readonly endpoint?: string
  readonly #store: ObjectStore
  readonly #pipeline: string
  readonly #runtime: Pick<Runtime, 'monotonicMs'>

  constructor(store: ObjectStore, pipeline: string, runtime: Pick<Runtime, 'monotonicMs'>) {
    this.uri = store.uri
    if (store.endpoint !== undefined) this.endpoint = store.endpoint
    this.#store = store
    this.#pipeline = pipeline
    this.#runtime = runtime
  }

  get: ObjectStore['get'] = (key, options) => this.#observe('get', () => this.#store.get(key, options))

  head: ObjectStore['head'] = (key, options) => this.#observe('head', () => this.#store.head(key, options))

  put(key: string, body: Uint8Array, options?: RequestOptions): Promise<void> {
    return this.#observe('put', () => this.#store.put(key, body, options))
  }

  putIfAbsent(key: string, body: ObjectBody, options?: RequestOptions): Promise<PutIfAbsentResult> {
    return this.#observe(
      'putIfAbsent',
      () => this.#store.putIfAbsent(key, body, options),
      // Not thrown, and a failure all the same: nobody knows what became of it.
      result => (result.status === 'unknown' ? result.cause : null),
    )
  }

  delete(keys: readonly string[], options?: RequestOptions): Promise<void> {
    return this.#observe('delete', () => this.#store.delete(keys, options))
  }

  async *list(prefix: string, options?: ListOptions): AsyncGenerator<ObjectInfo> {
    const pages = this.#store.list(prefix, options)[Symbol.asyncIterator]()
    let waitedMs = 0
    let error: unknown = null
    try {
      for (;;) {
        const startedMs = this.#runtime.monotonicMs()
        const next = await pages.next()
        // What the caller does between two objects is not the store's time.
        waitedMs += this.#runtime.monotonicMs() - startedMs
        if (next.done === true) return
        yield next.value
      }
    } catch (thrown) {
      error = thrown
      throw thrown
    } finally {
      this.#tell('list', waitedMs, error)
      await pages.return?.()
    }
  }

  at(prefix: string): ObjectStore {
    return new ObservedStore(this.#store.at(prefix), this.#pipeline, this.#runtime)
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  async #observe<T>(
    operation: StoreOperation,
    call: () => Promise<T>,
    failureOf: (result: T) => unknown = () => null,
  ): Promise<T> {
    const startedMs = this.#runtime.monotonicMs()
    try {
      const result = await call()
      this.#tell(operation, this.#runtime.monotonicMs() - startedMs, failureOf(result))
      return result
    } catch (error) {
      this.#tell(operation, this.#runtime.monotonicMs() - startedMs, error)
      throw error
    }
  }

  #tell(operation: StoreOperation, durationMs: number, error: unknown): void {
    if (!hasListeners('store:requested')) return
    publish('store:requested', { pipeline: this.#pipeline, operation, durationMs, error })
  }
}
