/**
 * A store that takes no write: what is to write nothing is run on it.
 *
 * @module
 */
import type { ObjectStore } from '@stream-ingest/delta'

export class ReadOnlyStore implements ObjectStore {
  readonly uri: string
  /** Writes that were tried, `at` included. */
  readonly refused: string[]
  readonly #store: ObjectStore

  constructor(store: ObjectStore, refused: string[] = []) {
    this.uri = store.uri
    this.#store = store
    this.refused = refused
  }

  get: ObjectStore['get'] = (key, options) => this.#store.get(key, options)
  head: ObjectStore['head'] = (key, options) => this.#store.head(key, options)
  list: ObjectStore['list'] = (prefix, options) => this.#store.list(prefix, options)
  put: ObjectStore['put'] = async key => this.#refuse(`put ${key}`)
  putIfAbsent: ObjectStore['putIfAbsent'] = async key => this.#refuse(`putIfAbsent ${key}`)
  delete: ObjectStore['delete'] = async keys => this.#refuse(`delete ${keys.join(' ')}`)

  at(prefix: string): ObjectStore {
    return new ReadOnlyStore(this.#store.at(prefix), this.refused)
  }

  async close(): Promise<void> {}

  #refuse(call: string): never {
    this.refused.push(call)
    throw new Error(`nothing is to be written: ${call}`)
  }
}
