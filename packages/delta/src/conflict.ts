/**
 * May a commit still be made, given a commit that won the version before it?
 *
 * PROTOCOL.md leaves this to the writers; the order and the meaning of the checks are those of Delta's own conflict
 * checker. Where engines differ, the stricter rule is taken: a conflict costs a re-read, a missed one costs data.
 *
 * @module
 */
import type { Action, Add, DomainMetadata, Metadata, Protocol, Remove, Txn } from './action.ts'
import { ROW_TRACKING_DOMAIN } from './row-tracking.ts'

/** What a transaction adds to the log. Adds are without row ids: those are assigned on each attempt. */
export interface TransactionActions {
  readonly adds: readonly Add[]
  readonly removes: readonly Remove[]
  readonly txns: readonly Txn[]
  readonly domainMetadata: readonly DomainMetadata[]
  readonly metadata: Metadata | null
  readonly protocol: Protocol | null
}

/** What a transaction looked at before it decided. A blind append read nothing but the `txn`s of its own app ids. */
export interface TransactionReads {
  /** App ids whose `txn` decided what is written. Those that are written are always included. */
  readonly appIds: ReadonlySet<string>
  /** Log paths of files whose content went into the adds (compaction). */
  readonly filePaths: ReadonlySet<string>
  /** All live files were read: any file added or removed meanwhile matters (overwrite). */
  readonly wholeTable: boolean
}

/** Why a transaction cannot be committed on top of the winner. */
export type ConflictReason =
  /** Another writer moved one of our `txn`s: it owns that progress, and what we hold may already be in the table. */
  | { readonly kind: 'txn'; readonly appId: string; readonly version: bigint }
  | { readonly kind: 'protocol' }
  | { readonly kind: 'metadata' }
  | { readonly kind: 'table-replaced'; readonly tableId: string }
  | { readonly kind: 'domain'; readonly domain: string }
  | { readonly kind: 'file-removed'; readonly path: string }
  | { readonly kind: 'file-added'; readonly path: string }
  /** The log no longer holds the versions that had to be checked. */
  | { readonly kind: 'log-cleaned'; readonly version: number }

/**
 * Checks one winning commit, in the order of Delta's conflict checker.
 *
 * @param tableId `metaData.id` the transaction started from
 * @returns null where the transaction may go on to the next version
 */
export function findConflict(
  winner: readonly Action[],
  ours: TransactionActions,
  reads: TransactionReads,
  tableId: string,
): ConflictReason | null {
  const ownDomains = new Set(ours.domainMetadata.map(d => d.domain))
  const ownRemoves = new Set(ours.removes.map(r => r.path))
  let conflict: ConflictReason | null = null
  // The first check that fails in the checker's order decides, whatever the order of the winner's lines.
  let rank = Number.POSITIVE_INFINITY
  const note = (order: number, reason: ConflictReason): void => {
    if (order < rank) {
      rank = order
      conflict = reason
    }
  }
  for (const action of winner) {
    if ('protocol' in action) note(1, { kind: 'protocol' })
    else if ('metaData' in action) {
      // A restored or replaced table is worse than a changed one: the caller must stop instead of rebasing.
      if (action.metaData.id !== tableId) note(0, { kind: 'table-replaced', tableId: action.metaData.id })
      else note(2, { kind: 'metadata' })
    } else if ('domainMetadata' in action) {
      const { domain } = action.domainMetadata
      // The row-id mark is merged on every attempt, so two writers of it do not exclude each other.
      if (domain !== ROW_TRACKING_DOMAIN && ownDomains.has(domain)) note(3, { kind: 'domain', domain })
    } else if ('txn' in action) {
      const { appId, version } = action.txn
      if (reads.appIds.has(appId)) note(4, { kind: 'txn', appId, version })
    } else if ('add' in action) {
      if (reads.wholeTable) note(5, { kind: 'file-added', path: action.add.path })
    } else if ('remove' in action) {
      const { path } = action.remove
      // A deletion vector shows as remove and add of one path, so this covers it.
      if (reads.wholeTable || reads.filePaths.has(path) || ownRemoves.has(path)) {
        note(6, { kind: 'file-removed', path })
      }
    }
  }
  return conflict
}
