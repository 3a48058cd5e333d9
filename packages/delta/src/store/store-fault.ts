/**
 * Faults that the memory store can be told to have: the ways in which a real store, or the network before it, fails.
 *
 * @module
 */

export type StoreOperation = 'get' | 'head' | 'put' | 'putIfAbsent' | 'list' | 'delete'

/** One call on the store, as a fault hook sees it. */
export interface StoreCall {
  readonly operation: StoreOperation
  /** The key; a listing's prefix; the first of the keys to delete. Relative to the store constructed with the hook. */
  readonly key: string
  /** Position among all calls on the store, from 0. */
  readonly ordinal: number
}

/**
 * - `lost-answer`: the work is done, its answer is lost.
 * - `own-earlier-write`: a conditional put whose first answer is lost inside the client, which repeats it: the object is
 *   made and the answer is `exists`.
 * - `conflict`: a conditional put answered 409; nothing is done.
 * - `throttled`: 503 until the client gave up; nothing is done.
 * - `timeout`: no answer; nothing is done.
 * - `late-write`: no answer; the write happens when `deliverLateWrites` is called.
 * - `partial-upload`: a write that breaks off; nothing becomes visible.
 * - `slow`: waits, then does what `outcome` says, or succeeds.
 * - `crash`: the process dies before or after the work: an {@link InjectedCrash} is thrown.
 */
export type StoreFault =
  | { readonly kind: 'lost-answer' }
  | { readonly kind: 'own-earlier-write' }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'throttled' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'late-write' }
  | { readonly kind: 'partial-upload' }
  | {
      readonly kind: 'slow'
      readonly delayMs: number
      readonly outcome?: Exclude<StoreFault, { kind: 'slow' }>
    }
  | { readonly kind: 'crash'; readonly moment: 'before' | 'after' }

/** Says what goes wrong with a call; undefined for nothing. */
export type StoreFaultHook = (call: StoreCall) => StoreFault | undefined

/** Stands for the death of the process: not an operational error, so nothing may catch and repeat it. */
export class InjectedCrash extends Error {
  override readonly name = 'InjectedCrash'
  readonly call: StoreCall

  constructor(call: StoreCall, moment: 'before' | 'after') {
    super(`injected crash ${moment} ${call.operation} of \`${call.key}\``)
    this.call = call
  }
}

interface QueuedFault {
  readonly operation: StoreOperation
  readonly fault: StoreFault
  readonly matches: (key: string) => boolean
}

/** Faults in the order in which they are to happen, one per matching call. */
export class FaultQueue {
  readonly #faults: QueuedFault[] = []

  /** Faults that no call has met yet: a test that expects them all to happen checks for 0. */
  get pendingCount(): number {
    return this.#faults.length
  }

  /** The next call of the operation, on a key that matches, meets the fault. */
  add(operation: StoreOperation, fault: StoreFault, matches: (key: string) => boolean = () => true): this {
    this.#faults.push({ operation, fault, matches })
    return this
  }

  /** To be given to the store as its `faults`. */
  readonly hook: StoreFaultHook = call => {
    const index = this.#faults.findIndex(
      queued => queued.operation === call.operation && queued.matches(call.key),
    )
    return index < 0 ? undefined : this.#faults.splice(index, 1)[0]!.fault
  }
}
