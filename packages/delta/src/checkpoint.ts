/**
 * Checkpoints: the state of the table at one version, so that readers need no commit before it.
 *
 * PROTOCOL.md › Checkpoints. Derived from the log alone, so any writer may make one and two that do agree. Named in the
 * classic way, which is valid for both versions of the format; in several parts never. The pointer `_last_checkpoint`
 * moves only after the checkpoint is complete, and never backwards.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Remove, Sidecar } from './action.ts'
import {
  CheckpointFile,
  type CheckpointFormat,
  checkpointColumns,
  encodeSidecar,
  FILE_ACTIONS_MAX,
  type FileBatch,
  fileBatches,
  stateActions,
} from './checkpoint-files.ts'
import { readLastCheckpoint, writeLastCheckpoint } from './last-checkpoint.ts'
import { formatCheckpointPath, formatSidecarName, SIDECAR_PREFIX } from './log-path.ts'
import type { ParquetEncoder } from './parquet/parquet-encoder.ts'
import { assertMaintainable, readerFeaturesOf, writerFeaturesOf } from './protocol.ts'
import type { Runtime } from './runtime.ts'
import { loadSnapshot, type Snapshot } from './snapshot.ts'
import type { ObjectStore } from './store/object-store.ts'
import { tableProperty } from './table-property.ts'
import type { TableState } from './table-state.ts'

export interface CheckpointOutcome {
  /** `exists`: another writer made one at this version or later. */
  readonly status: 'written' | 'exists'
  readonly version: number
}

export interface WriteCheckpointOptions {
  /**
   * File actions of one row group, or of one sidecar; a checkpoint of version 2 that has more of them has sidecars.
   * Default: {@link FILE_ACTIONS_MAX}.
   */
  readonly fileActionsMax?: number
  /** Called while live files go into the checkpoint, with how many have so far. */
  readonly progressed?: (filesDone: number) => void
}

/** Is it time? Derived from the log and not from what this process did, so that a restart never skips one. */
export function checkpointDue(state: TableState, interval?: number): boolean {
  const every = interval ?? tableProperty(state.metadata.configuration, 'delta.checkpointInterval')
  return state.version - (state.checkpointVersion ?? 0) >= every
}

/**
 * Writes the checkpoint of `version` and moves `_last_checkpoint` to it.
 *
 * @throws DeltaLakeError when the log cannot be read, `DELTA_PROTOCOL_UNSUPPORTED` naming a feature whose actions might
 *   be lost, and what the store throws; nothing is left half done that a reader sees
 */
export async function writeCheckpoint(
  store: ObjectStore,
  version: number,
  encoder: ParquetEncoder,
  runtime: Runtime,
  options: WriteCheckpointOptions = {},
): Promise<CheckpointOutcome> {
  const pointer = await readLastCheckpoint(store)
  if (pointer !== null && pointer.version >= version) return { status: 'exists', version: pointer.version }
  const snapshot = await loadSnapshot(store, { version, nowMs: runtime.now(), hint: pointer })
  assert(snapshot !== null, 'a checkpoint is made of a version that was committed')
  assertMaintainable(snapshot.state.protocol)
  const writer = new CheckpointWriter(snapshot, encoder, runtime, options)
  // Crash here: no checkpoint, or one that the next LIST finds; the pointer is only a hint. Sidecars of a checkpoint that
  // never came are removed with old ones.
  const put = await store.putIfAbsent(formatCheckpointPath(version), writer.bytes())
  if (put.status === 'unknown') throw put.cause
  await writeLastCheckpoint(store, {
    version,
    size: writer.actionCount,
    sizeInBytes: writer.sizeBytes,
    numOfAddFiles: writer.addCount,
  })
  return { status: put.status === 'created' ? 'written' : 'exists', version }
}

/** One checkpoint. Its counts are true once its bytes have been read to their end. */
class CheckpointWriter {
  /** Sidecars included. */
  sizeBytes = 0
  actionCount = 0
  addCount = 0
  readonly #snapshot: Snapshot
  readonly #encoder: ParquetEncoder
  readonly #runtime: Runtime
  readonly #fileActionsMax: number
  readonly #progressed: (filesDone: number) => void
  readonly #sidecars: Sidecar[] = []

  constructor(
    snapshot: Snapshot,
    encoder: ParquetEncoder,
    runtime: Runtime,
    { fileActionsMax = FILE_ACTIONS_MAX, progressed = () => {} }: WriteCheckpointOptions,
  ) {
    assert(fileActionsMax > 0)
    this.#snapshot = snapshot
    this.#encoder = encoder
    this.#runtime = runtime
    this.#fileActionsMax = fileActionsMax
    this.#progressed = progressed
  }

  /** The file, piece by piece; sidecars are in place before the first one. */
  async *bytes(): AsyncGenerator<Uint8Array> {
    const { state } = this.#snapshot
    const format = formatOf(state)
    const columns = checkpointColumns(state, format)
    const batches = fileBatches(columns, this.#fileActionsMax, this.#unexpiredTombstones(), this.#adds())
    const inline = format === 'v1' ? batches : await this.#inlineOrSidecars(batches)
    const file = new CheckpointFile(this.#encoder, columns, inline !== null)
    file.appendState(stateActions(state, format, this.#sidecars))
    if (inline !== null) {
      for await (const batch of inline) {
        file.appendFiles(batch)
        yield this.#counted(file.take())
      }
    }
    this.actionCount += file.rowCount
    yield this.#counted(file.finish())
  }

  #counted(bytes: Uint8Array): Uint8Array {
    this.sizeBytes += bytes.length
    return bytes
  }

  async *#adds(): ReturnType<Snapshot['fileBatches']> {
    for await (const batch of this.#snapshot.fileBatches()) {
      this.addCount += batch.length
      yield batch
      this.#progressed(this.addCount)
    }
  }

  *#unexpiredTombstones(): Generator<Remove> {
    const { state, tombstones } = this.#snapshot
    const retentionMs = tableProperty(state.metadata.configuration, 'delta.deletedFileRetentionDuration')
    const oldestMs = this.#runtime.now() - retentionMs
    for (const remove of tombstones) if ((remove.deletionTimestamp ?? 0) > oldestMs) yield remove
  }

  /**
   * A checkpoint holds all of its files itself or none of them.
   *
   * @returns the batches where they are few; null after all have gone into sidecars
   */
  async #inlineOrSidecars(batches: AsyncIterable<FileBatch>): Promise<FileBatch[] | null> {
    const held: FileBatch[] = []
    let heldActions = 0
    for await (const batch of batches) {
      held.push(batch)
      heldActions += batch.rowCount
      if (this.#sidecars.length === 0 && heldActions <= this.#fileActionsMax) continue
      for (const one of held.splice(0)) await this.#putSidecar(one)
    }
    return this.#sidecars.length === 0 ? held : null
  }

  async #putSidecar(batch: FileBatch): Promise<void> {
    const { store, version } = this.#snapshot
    const bytes = encodeSidecar(this.#encoder, batch)
    const path = formatSidecarName(version, this.#sidecars.length + 1, this.#runtime.uuid())
    // Crash here: a file that nothing refers to.
    await store.put(SIDECAR_PREFIX + path, this.#counted(bytes))
    this.#sidecars.push({ path, sizeInBytes: bytes.length, modificationTime: this.#runtime.now() })
    this.actionCount += batch.rowCount
  }
}

/** Version 2 only where the table asks for it and every reader of it must know the format. */
function formatOf({ metadata, protocol }: TableState): CheckpointFormat {
  const isAllowed =
    readerFeaturesOf(protocol).has('v2Checkpoint') && writerFeaturesOf(protocol).has('v2Checkpoint')
  return isAllowed && tableProperty(metadata.configuration, 'delta.checkpointPolicy') === 'v2' ? 'v2' : 'v1'
}
