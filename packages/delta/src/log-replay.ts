/**
 * From actions to state: what of each action is still in force.
 *
 * PROTOCOL.md › Action Reconciliation. Both replays take the newest commit first, so that whatever is met again further
 * back has been superseded, and a checkpoint last of all; a table's files then stream from the checkpoint without a map
 * of all of them in memory.
 *
 * @module
 */
import type { Action, Add, DomainMetadata, Metadata, Protocol, Remove, Txn } from './action.ts'
import { logicalFileKey } from './deletion-vector-id.ts'

/** Everything but files. */
export class StateReplay {
  #protocol: Protocol | null = null
  #metadata: Metadata | null = null
  readonly #txns = new Map<string, Txn>()
  readonly #domains = new Map<string, DomainMetadata>()

  get protocol(): Protocol | null {
    return this.#protocol
  }

  get metadata(): Metadata | null {
    return this.#metadata
  }

  /** Latest of each app id: the one of the newest commit, whatever its version says. */
  get txns(): ReadonlyMap<string, Txn> {
    return this.#txns
  }

  /** Without removed domains. */
  get domainMetadata(): ReadonlyMap<string, DomainMetadata> {
    return new Map([...this.#domains].filter(([, domain]) => !domain.removed))
  }

  /** Takes one commit, or the non-file actions of a checkpoint. Newest first. */
  apply(actions: readonly Action[]): void {
    // Backwards, so that within one commit too the later line wins.
    for (let i = actions.length - 1; i >= 0; i--) {
      const action = actions[i]!
      if ('protocol' in action) this.#protocol ??= action.protocol
      else if ('metaData' in action) this.#metadata ??= action.metaData
      else if ('txn' in action) {
        if (!this.#txns.has(action.txn.appId)) this.#txns.set(action.txn.appId, action.txn)
      } else if ('domainMetadata' in action) {
        const { domain } = action.domainMetadata
        if (!this.#domains.has(domain)) this.#domains.set(domain, action.domainMetadata)
      }
    }
  }
}

/** Files and tombstones, by (path, deletion vector). */
export class FileReplay {
  /** Keys that a newer action has decided. */
  readonly #decided = new Set<string>()

  /**
   * Takes one commit or one batch of a checkpoint, newest first.
   *
   * @returns what of it is in force
   */
  apply(actions: readonly Action[]): { adds: Add[]; removes: Remove[] } {
    const adds: Add[] = []
    const removes: Remove[] = []
    for (let i = actions.length - 1; i >= 0; i--) {
      const action = actions[i]!
      if ('add' in action) {
        if (this.#decide(action.add)) adds.push(action.add)
      } else if ('remove' in action && this.#decide(action.remove)) removes.push(action.remove)
    }
    adds.reverse()
    removes.reverse()
    return { adds, removes }
  }

  /**
   * Takes a batch of a checkpoint. Its actions are reconciled already, so that none is remembered: memory stays that
   * of the commits after it.
   */
  applyCheckpoint(actions: readonly Action[]): { adds: Add[]; removes: Remove[] } {
    const adds: Add[] = []
    const removes: Remove[] = []
    for (const action of actions) {
      if ('add' in action) {
        if (!this.#decided.has(logicalFileKey(action.add))) adds.push(action.add)
      } else if ('remove' in action && !this.#decided.has(logicalFileKey(action.remove)))
        removes.push(action.remove)
    }
    return { adds, removes }
  }

  #decide(file: Add | Remove): boolean {
    const key = logicalFileKey(file)
    if (this.#decided.has(key)) return false
    this.#decided.add(key)
    return true
  }
}

/**
 * Leaves out `txn`s that have expired: `lastUpdated` missing or not within the retention. Applied to the latest of each
 * app id only; filtering first would bring an older one back.
 *
 * @param retentionMs `delta.setTransactionRetentionDuration`; null keeps all
 */
export function unexpiredTxns(
  txns: ReadonlyMap<string, Txn>,
  retentionMs: number | null,
  nowMs: number,
): ReadonlyMap<string, Txn> {
  if (retentionMs === null) return txns
  const oldestMs = nowMs - retentionMs
  return new Map([...txns].filter(([, txn]) => txn.lastUpdated !== undefined && txn.lastUpdated > oldestMs))
}
