/**
 * The rules of one commit.
 *
 * PROTOCOL.md › Actions, › Action Reconciliation. A commit of ours that breaks one is a bug; in a table that others write
 * too, it is what a check finds.
 *
 * @module
 */
import type { Action, DeletionVectorDescriptor, Protocol } from './action.ts'
import { deletionVectorId } from './deletion-vector-id.ts'

export interface CommitViolation {
  readonly rule:
    | 'empty'
    /** Required of every table only where it has in-commit timestamps; this writer always puts it first. */
    | 'commit-info-first'
    | 'one-of-each'
    | 'protocol-features'
    | 'file-size'
    | 'add-and-remove'
    | 'data-change'
    | 'checkpoint-action'
  readonly message: string
}

/** What one commit breaks, looked at by itself. */
export function* commitViolations(actions: readonly Action[]): Generator<CommitViolation> {
  if (actions.length === 0) yield { rule: 'empty', message: 'a commit has at least one action' }
  const seen = new Set<string>()
  const adds = new Map<string, string | null>()
  const removes = new Map<string, string | null>()
  const dataChanges = new Set<boolean>()
  const isFirst = (kind: string, name: string): boolean => {
    const key = `${kind} ${name}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  }
  for (const [index, action] of actions.entries()) {
    if ('commitInfo' in action) {
      if (index > 0) {
        yield { rule: 'commit-info-first', message: '`commitInfo` is the first line of a commit' }
      }
    } else if ('metaData' in action) {
      if (!isFirst('metaData', '')) yield oneOfEach('a commit has at most one `metaData`')
    } else if ('protocol' in action) {
      if (!isFirst('protocol', '')) yield oneOfEach('a commit has at most one `protocol`')
      yield* protocolViolations(action.protocol)
    } else if ('txn' in action) {
      const { appId } = action.txn
      if (!isFirst('txn', appId)) yield oneOfEach(`a commit has two \`txn\` of \`${appId}\``)
    } else if ('domainMetadata' in action) {
      const { domain } = action.domainMetadata
      if (!isFirst('domainMetadata', domain)) {
        yield oneOfEach(`a commit has two \`domainMetadata\` of \`${domain}\``)
      }
    } else if ('add' in action) {
      const { path, deletionVector, dataChange, size } = action.add
      if (!isFirst('add', path)) yield oneOfEach(`a commit has two \`add\` of \`${path}\``)
      if (size <= 0) yield { rule: 'file-size', message: `the file \`${path}\` has no bytes` }
      adds.set(path, dvId(deletionVector))
      dataChanges.add(dataChange)
    } else if ('remove' in action) {
      const { path, deletionVector, dataChange } = action.remove
      if (!isFirst('remove', path)) yield oneOfEach(`a commit has two \`remove\` of \`${path}\``)
      removes.set(path, dvId(deletionVector))
      dataChanges.add(dataChange)
    } else if (!('cdc' in action)) {
      const message = 'a commit holds no `checkpointMetadata` and no `sidecar`'
      yield { rule: 'checkpoint-action', message }
    }
  }
  for (const [path, id] of adds) {
    if (removes.has(path) && removes.get(path) === id) {
      const message = `\`${path}\` is added and removed with the same deletion vector`
      yield { rule: 'add-and-remove', message }
    }
  }
  if (dataChanges.size > 1) {
    yield { rule: 'data-change', message: 'a commit mixes `dataChange` true and false' }
  }
}

/** Feature lists exactly where the versions have them, and every reader feature is a writer feature. */
function* protocolViolations(protocol: Protocol): Generator<CommitViolation> {
  const { minReaderVersion, minWriterVersion, readerFeatures, writerFeatures } = protocol
  const violation = (message: string): CommitViolation => ({ rule: 'protocol-features', message })
  if ((readerFeatures !== undefined) !== (minReaderVersion === 3)) {
    yield violation('`readerFeatures` belong to reader version 3')
  }
  if ((writerFeatures !== undefined) !== (minWriterVersion === 7)) {
    yield violation('`writerFeatures` belong to writer version 7')
  }
  for (const feature of readerFeatures ?? []) {
    if (writerFeatures?.includes(feature) !== true) {
      yield violation(`the reader feature \`${feature}\` must be a writer feature too`)
    }
  }
}

function oneOfEach(message: string): CommitViolation {
  return { rule: 'one-of-each', message }
}

function dvId(deletionVector: DeletionVectorDescriptor | undefined): string | null {
  return deletionVector === undefined ? null : deletionVectorId(deletionVector)
}
