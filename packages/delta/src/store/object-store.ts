/**
 * The seam between the Delta core and whatever holds the bytes.
 *
 * Keys are `/`-separated, relative to the store's root (usually a table), never start with `/` and are raw:
 * no percent-encoding. Listing order is the order of the keys' UTF-8 bytes.
 *
 * Retrying is the store's own business (one place per resource): a call that throws has already been repeated as
 * often as is sensible. One contract suite (`test/contract/object-store.ts`) runs against every implementation.
 *
 * @module
 */

export interface ObjectInfo {
  readonly key: string
  readonly sizeBytes: number
  /** Epoch milliseconds by the store's clock. */
  readonly lastModifiedMs: number
}

/** A half-open byte range; `endByte` beyond the object is cut to its size. */
export interface ByteRange {
  readonly startByte: number
  readonly endByte: number
}

/**
 * What a conditional create came to.
 * - `created`: this call made the object.
 * - `exists`: an object is there; it may be ours from an earlier attempt whose answer was lost.
 * - `unknown`: no definite answer (timeout, reset, 5xx, 409). The object may appear later. The only safe next step is
 *   to put the same bytes to the same key again.
 */
export type PutIfAbsentResult =
  | { readonly status: 'created' }
  | { readonly status: 'exists' }
  | { readonly status: 'unknown'; readonly cause: unknown }

export interface RequestOptions {
  /** When aborted, the call throws the signal's reason; a write that was under way may still have happened. */
  readonly signal?: AbortSignal
}

export interface ListOptions extends RequestOptions {
  /** Only keys after this one (exclusive), in byte order. */
  readonly startAfter?: string
  /** Leave out keys with a further `/` behind the prefix. Default false. */
  readonly shallow?: boolean
}

/** The bytes of an object: at once, or in pieces of any size. */
export type ObjectBody = Uint8Array | AsyncIterable<Uint8Array>

export interface ObjectStore {
  /** Where the root is, for people: `s3://bucket/prefix`, `file:///lake/events`, `memory:name`. No trailing slash. */
  readonly uri: string
  /** The server's address, where `uri` alone does not tell which one holds the bytes: two servers may have one bucket name. */
  readonly endpoint?: string
  /** The object's bytes, or null where there is none. A range past the end of the object gives what is there. */
  get(key: string, options?: RequestOptions & { readonly range?: ByteRange }): Promise<Uint8Array | null>
  head(key: string, options?: RequestOptions): Promise<ObjectInfo | null>
  /** Create or replace. Atomic: readers see the old bytes or the new ones, never a part. */
  put(key: string, body: Uint8Array, options?: RequestOptions): Promise<void>
  /**
   * Create, only where nothing is: of any number of callers at most one is told `created`.
   *
   * A body that comes in pieces is read to its end before the answer, and costs memory of a few parts, not of the whole;
   * what it throws is thrown, with nothing made. For commits a body is one piece: S3 servers that do not know the condition
   * for objects of several parts may answer `created` to two callers at one moment, the later of whom has replaced the other.
   */
  putIfAbsent(key: string, body: ObjectBody, options?: RequestOptions): Promise<PutIfAbsentResult>
  /** Keys that start with `prefix`, in UTF-8 byte order, page by page: the caller may stop early. */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo>
  /** Deletes each key that exists; a missing one is no error. Throws if any could not be deleted, naming the first. */
  delete(keys: readonly string[], options?: RequestOptions): Promise<void>
  /** The same store rooted at `prefix` below this root; shares connections. */
  at(prefix: string): ObjectStore
  /** Gives up connections. The store and all that came from `at` must not be used afterwards. */
  close(): Promise<void>
}
