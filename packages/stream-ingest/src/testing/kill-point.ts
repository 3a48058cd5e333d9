/**
 * Death at a chosen moment: a store that kills the process right before or after a chosen write.
 *
 * For chaos tests and the demonstration. A kill is a real SIGKILL: no handler runs, no buffer is flushed.
 *
 * @module
 */
import type { ObjectBody, ObjectStore, PutIfAbsentResult, RequestOptions } from '@stream-ingest/delta'
import { GenericError } from '../error.ts'

/** The writes of the commit path, in the order in which they happen. */
export const KILL_POINTS = [
  'before-upload',
  'after-upload',
  'before-commit',
  'after-commit',
  'after-checksum',
  'before-checkpoint',
  'after-checkpoint',
  'after-last-checkpoint',
] as const
export type KillPoint = (typeof KILL_POINTS)[number]

/** Kill at the `occurrence`-th time (from 1) that the point is passed. */
export interface KillPlan {
  readonly point: KillPoint
  readonly occurrence: number
}

/**
 * Parses `before-commit:3`.
 *
 * @throws GenericError for anything else
 */
export function parseKillPlan(text: string): KillPlan {
  const [point, occurrence = '1'] = text.split(':')
  const known = KILL_POINTS.find(p => p === point)
  if (known === undefined || !/^[1-9]\d{0,8}$/.test(occurrence)) {
    throw new GenericError(
      'CONFIG_USAGE',
      `\`${text}\` is no kill point: write POINT:COUNT, with one of ${KILL_POINTS.join(', ')}`,
    )
  }
  return { point: known, occurrence: Number(occurrence) }
}

/** Wraps a store; `kill` must not return. */
export function killingStore(store: ObjectStore, plan: KillPlan, kill: () => never): ObjectStore {
  return new KillingStore(store, { left: plan.occurrence, point: plan.point, kill })
}

interface Trigger {
  readonly point: KillPoint
  readonly kill: () => never
  left: number
}

class KillingStore implements ObjectStore {
  readonly uri: string
  readonly endpoint?: string
  readonly #store: ObjectStore
  readonly #trigger: Trigger

  constructor(store: ObjectStore, trigger: Trigger) {
    this.uri = store.uri
    if (store.endpoint !== undefined) this.endpoint = store.endpoint
    this.#store = store
    this.#trigger = trigger
  }

  get: ObjectStore['get'] = (key, options) => this.#store.get(key, options)
  head: ObjectStore['head'] = (key, options) => this.#store.head(key, options)
  list: ObjectStore['list'] = (prefix, options) => this.#store.list(prefix, options)
  delete: ObjectStore['delete'] = (keys, options) => this.#store.delete(keys, options)

  async put(key: string, body: Uint8Array, options?: RequestOptions): Promise<void> {
    const isData = key.endsWith('.parquet') && !key.includes('_delta_log/')
    if (isData) this.#pass('before-upload')
    await this.#store.put(key, body, options)
    if (isData) this.#pass('after-upload')
    else if (key.endsWith('/_last_checkpoint')) this.#pass('after-last-checkpoint')
  }

  async putIfAbsent(key: string, body: ObjectBody, options?: RequestOptions): Promise<PutIfAbsentResult> {
    const isCommit = /_delta_log\/\d{20}\.json$/.test(key) && !/0{20}\.json$/.test(key)
    const isCheckpoint = /\.checkpoint\.parquet$/.test(key)
    if (isCommit) this.#pass('before-commit')
    if (isCheckpoint) this.#pass('before-checkpoint')
    const result = await this.#store.putIfAbsent(key, body, options)
    if (isCommit) this.#pass('after-commit')
    if (isCheckpoint) this.#pass('after-checkpoint')
    if (key.endsWith('.crc')) this.#pass('after-checksum')
    return result
  }

  at(prefix: string): ObjectStore {
    return new KillingStore(this.#store.at(prefix), this.#trigger)
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  #pass(point: KillPoint): void {
    if (point !== this.#trigger.point) return
    this.#trigger.left--
    if (this.#trigger.left === 0) this.#trigger.kill()
  }
}
