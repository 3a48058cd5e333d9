/**
 * Is there a table at all?
 *
 * @module
 */
import { LOG_PREFIX, parseLogPath } from './log-path.ts'
import type { ObjectStore, RequestOptions } from './store/object-store.ts'

/**
 * Whether the store's root holds the log of a table: a commit or a checkpoint. One request; says nothing about whether
 * the log is whole or the table can be read.
 *
 * @throws what the store throws
 */
export async function tableExists(store: ObjectStore, options: RequestOptions = {}): Promise<boolean> {
  for await (const { key } of store.list(LOG_PREFIX, { ...options, shallow: true })) {
    switch (parseLogPath(key)?.kind) {
      case 'commit':
      case 'classic-checkpoint':
      case 'checkpoint-part':
      case 'v2-checkpoint':
        return true
    }
  }
  return false
}
