/**
 * An object store in a directory: an object is a file, durable when the call returns.
 *
 * Bytes are written to a hidden temporary file first. `put` renames it over the key; `putIfAbsent` links it to the key,
 * which the file system does for one caller only. A crash leaves at most a temporary file, which a later write into the
 * same directory removes.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { type FileHandle, link, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DeltaLakeError } from '../error.ts'
import { errnoOf, explainLinkError, explainLocalError } from './local-error.ts'
import { checkKey, checkPrefix, compareKeys, normalizeRoot } from './object-key.ts'
import type {
  ByteRange,
  ListOptions,
  ObjectBody,
  ObjectInfo,
  ObjectStore,
  PutIfAbsentResult,
  RequestOptions,
} from './object-store.ts'

/** Hidden from readers of tables by its leading dot, from our listings by the pattern. */
const TEMPORARY_NAME = /^\.tmp-[0-9A-Za-z-]+$/

/** No write takes this long: an older temporary file belongs to a process that died. */
const TEMPORARY_FILE_AGE_MAX_MS = 24 * 60 * 60 * 1000

/** Directories remembered as cleaned; forgetting one costs a `readdir`. */
const CLEANED_DIRECTORIES_MAX = 10_000

/** One read call's size: the system takes at most 2 GiB − 4 KiB at once. */
const READ_BYTES_MAX = 1 << 30

/** Files of a listing whose size is asked for at once. */
const STAT_BATCH_SIZE = 64

export interface LocalStoreOptions {
  /** Epoch milliseconds, to tell old temporary files. Default: the wall clock. */
  readonly now?: () => number
  /** A name no other writer uses, of letters, digits and `-`. Default: a random UUID. */
  readonly uniqueName?: () => string
}

export class LocalObjectStore implements ObjectStore {
  readonly uri: string
  readonly #root: string
  readonly #now: () => number
  readonly #uniqueName: () => string
  readonly #cleaned = new Set<string>()

  /** The directory is made by the first write. A relative one is taken from the process's working directory. */
  constructor(directory: string, options: LocalStoreOptions = {}) {
    this.#root = resolve(directory)
    this.uri = pathToFileURL(this.#root).href.replace(/\/+$/, '')
    this.#now = options.now ?? Date.now
    this.#uniqueName = options.uniqueName ?? randomUUID
  }

  async get(
    key: string,
    options: RequestOptions & { readonly range?: ByteRange } = {},
  ): Promise<Uint8Array | null> {
    const path = this.#path(key)
    const { range, signal } = options
    if (range) assert(range.startByte >= 0 && range.startByte <= range.endByte, 'byte range runs backwards')
    signal?.throwIfAborted()
    let file: FileHandle | undefined
    try {
      file = await open(path, 'r')
      const info = await file.stat()
      if (!info.isFile()) return null
      const endByte = Math.min(range?.endByte ?? info.size, info.size)
      return await readFully(file, range?.startByte ?? 0, endByte, signal)
    } catch (error) {
      if (isMissing(error)) return null
      throw explainLocalError(error, 'read', path)
    } finally {
      await file?.close()
    }
  }

  async head(key: string, options: RequestOptions = {}): Promise<ObjectInfo | null> {
    const path = this.#path(key)
    options.signal?.throwIfAborted()
    return describe(key, path)
  }

  async put(key: string, body: Uint8Array, options: RequestOptions = {}): Promise<void> {
    const path = this.#path(key)
    const temporary = await this.#writeTemporary(path, body, options)
    try {
      await rename(temporary, path)
    } catch (error) {
      await removeIfThere(temporary)
      throw explainLocalError(error, 'write', path)
    }
    await syncDirectory(dirname(path))
  }

  async putIfAbsent(key: string, body: ObjectBody, options: RequestOptions = {}): Promise<PutIfAbsentResult> {
    const path = this.#path(key)
    const temporary = await this.#writeTemporary(path, body, options)
    try {
      await link(temporary, path)
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return { status: 'exists' }
      throw explainLinkError(error, path)
    } finally {
      await removeIfThere(temporary)
    }
    try {
      await syncDirectory(dirname(path))
    } catch (error) {
      // The object is visible, but a power cut might take it back.
      return { status: 'unknown', cause: error }
    }
    return { status: 'created' }
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    checkPrefix(prefix)
    yield* this.#walk(prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix, options)
  }

  async delete(keys: readonly string[], options: RequestOptions = {}): Promise<void> {
    const paths = keys.map(key => this.#path(key))
    const directories = new Set<string>()
    for (const path of paths) {
      options.signal?.throwIfAborted()
      try {
        if (!(await stat(path)).isFile()) continue
        await unlink(path)
        directories.add(dirname(path))
      } catch (error) {
        if (!isMissing(error)) throw explainLocalError(error, 'delete', path)
      }
    }
    for (const directory of directories) await syncDirectory(directory)
  }

  at(prefix: string): ObjectStore {
    const root = normalizeRoot(prefix)
    if (root === '') return this
    return new LocalObjectStore(join(this.#root, root), { now: this.#now, uniqueName: this.#uniqueName })
  }

  async close(): Promise<void> {}

  #path(key: string): string {
    checkKey(key)
    const segments = key.split('/')
    if (segments.includes('') || TEMPORARY_NAME.test(segments.at(-1)!)) {
      const problem = segments.includes('') ? 'holds an empty segment' : 'is a name of a temporary file'
      throw new DeltaLakeError('STORE_KEY_INVALID', `the object key \`${key}\` ${problem}`, {
        context: { key },
      })
    }
    return join(this.#root, ...segments)
  }

  /** Writes the body beside the path it is meant for, durable, and returns where. */
  async #writeTemporary(path: string, body: ObjectBody, options: RequestOptions): Promise<string> {
    const directory = dirname(path)
    const name = `.tmp-${this.#uniqueName()}`
    assert(TEMPORARY_NAME.test(name), 'a unique name consists of letters, digits and `-`')
    const temporary = join(directory, name)
    options.signal?.throwIfAborted()
    try {
      await makeDirectory(directory)
      await this.#clean(directory)
      const file = await open(temporary, 'wx')
      try {
        await file.writeFile(body, options.signal ? { signal: options.signal } : {})
        await file.sync()
      } finally {
        await file.close()
      }
      return temporary
    } catch (error) {
      await removeIfThere(temporary)
      options.signal?.throwIfAborted()
      throw explainLocalError(error, 'write', path)
    }
  }

  /** Removes what dead processes left in a directory, once per directory. */
  async #clean(directory: string): Promise<void> {
    if (this.#cleaned.has(directory)) return
    if (this.#cleaned.size >= CLEANED_DIRECTORIES_MAX) this.#cleaned.clear()
    this.#cleaned.add(directory)
    for (const name of await readdir(directory)) {
      if (!TEMPORARY_NAME.test(name)) continue
      const path = join(directory, name)
      const info = await describe(name, path)
      if (info !== null && info.lastModifiedMs < this.#now() - TEMPORARY_FILE_AGE_MAX_MS) {
        await removeIfThere(path)
      }
    }
  }

  /** Yields the objects below a folder (empty, or ending in `/`), folders without possible results left out. */
  async *#walk(folder: string, prefix: string, options: ListOptions): AsyncGenerator<ObjectInfo> {
    options.signal?.throwIfAborted()
    const entries = await this.#entries(folder, prefix, options)
    let files: string[] = []
    for (const key of entries) {
      if (!key.endsWith('/')) {
        files.push(key)
        if (files.length < STAT_BATCH_SIZE) continue
      }
      yield* this.#describeAll(files)
      files = []
      options.signal?.throwIfAborted()
      if (key.endsWith('/')) yield* this.#walk(key, prefix, options)
    }
    yield* this.#describeAll(files)
  }

  async *#describeAll(keys: readonly string[]): AsyncGenerator<ObjectInfo> {
    const found = await Promise.all(keys.map(key => describe(key, join(this.#root, key))))
    // What is gone since its name was read is no longer part of the listing.
    for (const info of found) if (info !== null) yield info
  }

  /** Keys of a folder's files and, with a `/` at their end, of its folders, in byte order, as far as they matter. */
  async #entries(folder: string, prefix: string, options: ListOptions): Promise<string[]> {
    const directory = join(this.#root, folder)
    let entries: Dirent[]
    try {
      entries = await readdir(directory, { withFileTypes: true })
    } catch (error) {
      if (isMissing(error)) return []
      throw explainLocalError(error, 'list', directory)
    }
    const { startAfter, shallow } = options
    const keys: string[] = []
    for (const entry of entries) {
      if (entry.isDirectory()) {
        const key = `${folder}${entry.name}/`
        // The whole folder comes before `startAfter`, unless `startAfter` lies in it.
        const passed =
          startAfter !== undefined && compareKeys(key, startAfter) < 0 && !startAfter.startsWith(key)
        const wanted = prefix.startsWith(key) || (key.startsWith(prefix) && shallow !== true)
        if (wanted && !passed) keys.push(key)
      } else if (!TEMPORARY_NAME.test(entry.name)) {
        const key = folder + entry.name
        const passed = startAfter !== undefined && compareKeys(key, startAfter) <= 0
        if (key.startsWith(prefix) && !passed) keys.push(key)
      }
    }
    return keys.sort(compareKeys)
  }
}

async function describe(key: string, path: string): Promise<ObjectInfo | null> {
  try {
    const info = await stat(path)
    if (!info.isFile()) return null
    return { key, sizeBytes: info.size, lastModifiedMs: Math.floor(info.mtimeMs) }
  } catch (error) {
    if (isMissing(error)) return null
    throw explainLocalError(error, 'read', path)
  }
}

function isMissing(error: unknown): boolean {
  const errno = errnoOf(error)
  // ENOTDIR: a part of the path is a file, so nothing is below it. ELOOP: a symbolic link that leads nowhere.
  return errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ELOOP'
}

async function readFully(
  file: FileHandle,
  startByte: number,
  endByte: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.max(0, endByte - startByte))
  let filled = 0
  while (filled < bytes.byteLength) {
    signal?.throwIfAborted()
    const length = Math.min(bytes.byteLength - filled, READ_BYTES_MAX)
    const { bytesRead } = await file.read(bytes, filled, length, startByte + filled)
    // Objects are never written in place, but a file that is no object of ours may shrink while it is read.
    if (bytesRead === 0) return bytes.subarray(0, filled)
    filled += bytesRead
  }
  return bytes
}

/** Makes a directory and those above it that are missing, each durable in the one that holds it. */
export async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true })
  if (first === undefined) return
  for (let made = directory; made.length >= first.length; made = dirname(made)) {
    await syncDirectory(dirname(made))
  }
}

async function syncDirectory(directory: string): Promise<void> {
  try {
    const handle = await open(directory, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw explainLocalError(error, 'sync', directory)
  }
}

/** Removes a temporary file. One that stays is hidden, and is removed by a later write. */
async function removeIfThere(path: string): Promise<void> {
  await unlink(path).catch(() => undefined)
}
