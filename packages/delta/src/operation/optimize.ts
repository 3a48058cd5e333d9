/**
 * OPTIMIZE: small files of a table partition become few large ones, and rows that deletion vectors delete go for good.
 *
 * Delta protocol notes on OPTIMIZE and conflicts. Rows are only rearranged (`dataChange` false), so that appends never
 * conflict with it, nor it with them. What another writer removes, or deletes rows of, meanwhile is left out and the rest
 * committed; a crash at any point leaves files that no commit names.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Add } from '../action.ts'
import { type EncodedDataFile, uploadDataFile } from '../data-file.ts'
import { dataFileFormatOf } from '../data-file-format.ts'
import { logicalFileKey } from '../deletion-vector-id.ts'
import { DeltaTable } from '../delta-table.ts'
import { DeltaLakeError } from '../error.ts'
import type { OpenForeignStore } from '../file-source.ts'
import { createParquetEncoder } from '../parquet/file-encoder.ts'
import type { ParquetCodec, ParquetEncoder } from '../parquet/parquet-encoder.ts'
import { assertWritable } from '../protocol.ts'
import { type Runtime, systemRuntime } from '../runtime.ts'
import { loadSnapshot } from '../snapshot.ts'
import type { ObjectStore, RequestOptions } from '../store/object-store.ts'
import { removeOf } from '../tombstone.ts'
import type { CommitRequest } from '../transaction.ts'
import { type Bin, type BinLimits, BinPlanner } from './optimize/bin-plan.ts'
import { FileRewriter } from './optimize/rewrite.ts'

export const OPTIMIZE_TARGET_FILE_SIZE_BYTES = 128 << 20
/** Of the target: a file of at least this size is no candidate, so that what was compacted is not compacted again. */
const MIN_FILE_SIZE_SHARE = 0.75
/** Bytes of inputs after which what is done so far is committed: what one conflict can cost. */
export const COMMIT_SIZE_MAX_BYTES = 1 << 30
/** Inputs after which what is done so far is committed. */
export const COMMIT_FILES_MAX = 2_000
/** Commits of one group that others may foil before it is given up. */
export const GROUP_ATTEMPTS_MAX = 10
/** Plans made of one table: of its candidates that were too many at once, and after its schema changed underneath. */
export const PLANS_MAX = 100

export interface OptimizeOptions extends RequestOptions {
  /** Default: the table's `delta.targetFileSize`, else {@link OPTIMIZE_TARGET_FILE_SIZE_BYTES}. */
  readonly targetFileSizeBytes?: number
  /** Smaller files are put together. Default: three quarters of the target. */
  readonly minFileSizeBytes?: number
  /** Leave a table partition alone that has fewer small files. Default 2. */
  readonly minFiles?: number
  /** Write a file anew of which a greater share of the rows is deleted. Default 0.05. */
  readonly maxDeletedRowsRatio?: number
  /** Leave a table partition alone whose newest file is younger than this: it is still being written. Default 0. */
  readonly quietMs?: number
  /** Unless it has this many small files. Default: however many. */
  readonly busyMinFiles?: number
  /** Default `snappy`. */
  readonly codec?: ParquetCodec
  readonly compressionLevel?: number
  /** Plans and reads nothing but the log; writes nothing. */
  readonly dryRun?: boolean
  /** Opens places outside of the table; without it files there are left alone. */
  readonly openForeign?: OpenForeignStore
  /** Copy the row groups of a file as they are where they have this size on average. Default 8 MiB. */
  readonly rowGroupCopyMinBytes?: number
  readonly encoder?: ParquetEncoder
  readonly runtime?: Runtime
  /** Called after each file that was written, with what is done so far. */
  readonly progressed?: (done: OptimizeProgress) => void
}

export interface OptimizeProgress {
  readonly binsDone: number
  readonly binsPlanned: number
  readonly bytesRead: number
}

/** In a dry run: what would be done, as far as the log tells. */
export interface OptimizeResult {
  /** Of the table afterwards. */
  readonly version: number
  readonly dryRun: boolean
  readonly commits: number
  /** Commits that another writer foiled. */
  readonly conflicts: number
  readonly filesRemoved: number
  readonly filesAdded: number
  readonly bytesRemoved: number
  /** In a dry run the bytes of the inputs. */
  readonly bytesAdded: number
  readonly rowsRewritten: number
  readonly deletionVectorsRemoved: number
  /** With files that are small or have deleted rows. */
  readonly partitionsConsidered: number
  /** Of these left alone: still being written, or with too few files. */
  readonly partitionsSkipped: number
  /** Files left to the engine that clusters the table. */
  readonly filesClustered: number
}

/**
 * Compacts a table.
 *
 * @throws DeltaLakeError `DELTA_TABLE_NOT_FOUND`, `DELTA_PROTOCOL_UNSUPPORTED`, `DELTA_DATA_CORRUPT` naming a file that
 *   cannot be read, `DELTA_TABLE_CHANGED`, `DELTA_COMMIT_…`, and what the store throws. What was committed before stands
 */
export async function optimizeTable(
  store: ObjectStore,
  options: OptimizeOptions = {},
): Promise<OptimizeResult> {
  const runtime = options.runtime ?? systemRuntime
  const table = await DeltaTable.open(store, { runtime })
  if (table === null) {
    throw new DeltaLakeError('DELTA_TABLE_NOT_FOUND', `there is no Delta table at ${store.uri}`, {
      context: { table: store.uri },
    })
  }
  return new Optimization(table, options, runtime).run()
}

/** A bin and the file that its rows are in now; null where none of them was live. */
interface Rewritten {
  readonly bin: Bin
  readonly file: { readonly add: Add; readonly encoded: EncodedDataFile } | null
}

type GroupOutcome = 'committed' | 'nothing-left' | 'table-changed'

class Optimization {
  readonly #table: DeltaTable
  readonly #options: OptimizeOptions
  readonly #runtime: Runtime
  readonly #encoder: ParquetEncoder
  readonly #counts = {
    commits: 0,
    conflicts: 0,
    filesRemoved: 0,
    filesAdded: 0,
    bytesRemoved: 0,
    bytesAdded: 0,
    rowsRewritten: 0,
    deletionVectorsRemoved: 0,
    partitionsConsidered: 0,
    partitionsSkipped: 0,
    filesClustered: 0,
  }

  constructor(table: DeltaTable, options: OptimizeOptions, runtime: Runtime) {
    this.#table = table
    this.#options = options
    this.#runtime = runtime
    this.#encoder = options.encoder ?? createParquetEncoder()
  }

  async run(): Promise<OptimizeResult> {
    const dryRun = this.#options.dryRun ?? false
    for (let plan = 1; plan <= PLANS_MAX; plan++) {
      const { protocol, metadata, schema } = this.#table.state
      assertWritable(protocol, metadata, schema)
      const { bins, isPartial } = await this.#plan(plan)
      if (dryRun) {
        this.#countPlan(bins)
        break
      }
      const outcome = await this.#runBins(bins)
      // A table that changed is looked at again as it is now; so is one whose candidates were too many at once.
      if (outcome === 'done' && !(isPartial && bins.length > 0)) break
      await this.#table.reload()
    }
    return { version: this.#table.state.version, dryRun, ...this.#counts }
  }

  async #plan(round: number): Promise<{ bins: readonly Bin[]; isPartial: boolean }> {
    const { state, store } = this.#table
    const planner = new BinPlanner(
      dataFileFormatOf(state),
      limitsOf(this.#options, state.metadata.configuration),
    )
    const nowMs = this.#runtime.now()
    const snapshot = await loadSnapshot(store, { version: state.version, nowMs, ...this.#request })
    if (snapshot === null) {
      throw new DeltaLakeError('DELTA_TABLE_CHANGED', `the table ${store.uri} is gone`)
    }
    for await (const add of snapshot.files(this.#request)) {
      if (this.#options.openForeign !== undefined || !ABSOLUTE.test(add.path)) planner.add(add)
    }
    const { bins, isPartial, partitionsConsidered, partitionsSkipped } = planner.plan(nowMs)
    // Of the whole table as it was found, not of what later rounds see of it.
    if (round === 1) {
      this.#counts.partitionsConsidered = partitionsConsidered
      this.#counts.partitionsSkipped = partitionsSkipped
      this.#counts.filesClustered = planner.clusteredCount
    }
    return { bins, isPartial }
  }

  get #request(): RequestOptions {
    return this.#options.signal === undefined ? {} : { signal: this.#options.signal }
  }

  #countPlan(bins: readonly Bin[]): void {
    for (const { files, sizeBytes } of bins) {
      this.#counts.filesRemoved += files.length
      this.#counts.filesAdded++
      this.#counts.bytesRemoved += sizeBytes
      this.#counts.bytesAdded += sizeBytes
      this.#counts.deletionVectorsRemoved += files.filter(f => f.deletionVector !== undefined).length
    }
  }

  async #runBins(bins: readonly Bin[]): Promise<'done' | 'table-changed'> {
    let group: Rewritten[] = []
    let groupBytes = 0
    let groupFiles = 0
    let bytesRead = 0
    const rewriter = this.#rewriter()
    for (const [i, bin] of bins.entries()) {
      this.#options.signal?.throwIfAborted()
      group.push(await this.#rewrite(rewriter, bin))
      groupBytes += bin.sizeBytes
      groupFiles += bin.files.length
      bytesRead += bin.sizeBytes
      this.#options.progressed?.({ binsDone: i + 1, binsPlanned: bins.length, bytesRead })
      const isLast = i === bins.length - 1
      if (!isLast && groupBytes < COMMIT_SIZE_MAX_BYTES && groupFiles < COMMIT_FILES_MAX) continue
      if ((await this.#commitGroup(group, rewriter.preservesRowIds)) === 'table-changed')
        return 'table-changed'
      group = []
      groupBytes = 0
      groupFiles = 0
    }
    return 'done'
  }

  #rewriter(): FileRewriter {
    const { codec = 'snappy', compressionLevel, openForeign, rowGroupCopyMinBytes } = this.#options
    return new FileRewriter(this.#table.store, this.#table.state, this.#encoder, this.#runtime, {
      codec,
      ...(compressionLevel === undefined ? {} : { compressionLevel }),
      ...(openForeign === undefined ? {} : { openForeign }),
      ...(rowGroupCopyMinBytes === undefined ? {} : { rowGroupCopyMinBytes }),
      ...this.#request,
    })
  }

  async #rewrite(rewriter: FileRewriter, bin: Bin): Promise<Rewritten> {
    const encoded = await rewriter.rewrite(bin.files)
    if (encoded === null) return { bin, file: null }
    // Crash here: nothing, or a file that no commit names; VACUUM removes it, the inputs are what the table holds.
    const add = await uploadDataFile(this.#table.store, encoded, this.#runtime)
    return { bin, file: { add: { ...add, dataChange: false }, encoded } }
  }

  /** Commits what is rewritten, without the bins whose inputs another writer has changed. */
  async #commitGroup(group: readonly Rewritten[], preservesRowIds: boolean): Promise<GroupOutcome> {
    let left = group
    for (let attempt = 1; attempt <= GROUP_ATTEMPTS_MAX && left.length > 0; attempt++) {
      // Crash here or inside: the commit exists or it does not. Without it the outputs are unreferenced, the inputs live.
      const outcome = await this.#table.commit(this.#commitRequest(left, preservesRowIds))
      if (outcome.status === 'committed') {
        this.#count(left)
        await this.#table.upkeep(this.#encoder)
        return 'committed'
      }
      this.#counts.conflicts++
      const { reason, winner } = outcome
      if (reason.kind === 'table-replaced') {
        throw new DeltaLakeError(
          'DELTA_TABLE_CHANGED',
          `version ${winner} of ${this.#table.store.uri} gives the table another id (\`${reason.tableId}\`)`,
        )
      }
      // The outputs have the schema of before.
      if (reason.kind !== 'file-removed') return 'table-changed'
      await this.#table.reload()
      left = await this.#withLiveInputs(left)
    }
    return 'nothing-left'
  }

  /** The bins whose inputs are all still in the table, with the same deletion vectors. */
  async #withLiveInputs(group: readonly Rewritten[]): Promise<readonly Rewritten[]> {
    const { state, store } = this.#table
    const missing = new Set(group.flatMap(({ bin }) => bin.files.map(logicalFileKey)))
    const snapshot = await loadSnapshot(store, { version: state.version, ...this.#request })
    assert(snapshot !== null)
    for await (const add of snapshot.files(this.#request)) missing.delete(logicalFileKey(add))
    return group.filter(({ bin }) => !bin.files.some(file => missing.has(logicalFileKey(file))))
  }

  #commitRequest(group: readonly Rewritten[], preservesRowIds: boolean): CommitRequest {
    const nowMs = this.#runtime.now()
    const inputs = group.flatMap(({ bin }) => bin.files)
    const outputs = group.flatMap(({ file }) => (file === null ? [] : [file]))
    return {
      operation: 'OPTIMIZE',
      operationParameters: { predicate: '[]', auto: 'false', clusterBy: '[]', zOrderBy: '[]' },
      operationMetrics: metricsOf(
        inputs,
        outputs.map(({ add }) => add),
      ),
      isolationLevel: 'SnapshotIsolation',
      preservesRowIds,
      actions: {
        adds: outputs.map(({ add }) => add),
        removes: inputs.map(add => removeOf(add, nowMs, false)),
        txns: [],
        domainMetadata: [],
        metadata: null,
        protocol: null,
      },
      reads: { appIds: new Set(), filePaths: new Set(inputs.map(({ path }) => path)), wholeTable: false },
      rowCounts: outputs.map(({ encoded }) => encoded.rowCount),
      txnId: this.#runtime.uuid(),
    }
  }

  #count(group: readonly Rewritten[]): void {
    this.#counts.commits++
    for (const { bin, file } of group) {
      this.#counts.filesRemoved += bin.files.length
      this.#counts.bytesRemoved += bin.sizeBytes
      this.#counts.deletionVectorsRemoved += bin.files.filter(f => f.deletionVector !== undefined).length
      if (file === null) continue
      this.#counts.filesAdded++
      this.#counts.bytesAdded += file.add.size
      this.#counts.rowsRewritten += file.encoded.rowCount
    }
  }
}

/** Files of a shallow clone's source, or of a converted table: another's. */
const ABSOLUTE = /^([A-Za-z][A-Za-z0-9+.-]*:|\/)/

function limitsOf(options: OptimizeOptions, configuration: Readonly<Record<string, string>>): BinLimits {
  const targetFileSizeBytes =
    options.targetFileSizeBytes ??
    sizeProperty(configuration['delta.targetFileSize']) ??
    OPTIMIZE_TARGET_FILE_SIZE_BYTES
  return {
    targetFileSizeBytes,
    minFileSizeBytes: options.minFileSizeBytes ?? Math.floor(targetFileSizeBytes * MIN_FILE_SIZE_SHARE),
    minFiles: options.minFiles ?? 2,
    maxDeletedRowsRatio: options.maxDeletedRowsRatio ?? 0.05,
    quietMs: options.quietMs ?? 0,
    busyMinFiles: options.busyMinFiles ?? Number.POSITIVE_INFINITY,
  }
}

const SIZE_UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }

/** `134217728`, `128mb`; undefined where it is no such size: the property is other engines', who check it. */
function sizeProperty(text: string | undefined): number | undefined {
  const match = /^(\d{1,12})\s*([bkmg]?)b?$/i.exec(text?.trim() ?? '')
  return match === null ? undefined : Number(match[1]) * SIZE_UNITS[match[2]!.toLowerCase()]!
}

/** As Delta's history has them: counts, bytes, and how the sizes of the new files are spread. */
function metricsOf(inputs: readonly Add[], outputs: readonly Add[]): Record<string, string> {
  const sizes = outputs.map(({ size }) => size).sort((a, b) => a - b)
  const quantile = (q: number): string => String(sizes[Math.floor((sizes.length - 1) * q)] ?? 0)
  const sum = (files: readonly Add[]): string => String(files.reduce((total, { size }) => total + size, 0))
  return {
    numRemovedFiles: String(inputs.length),
    numAddedFiles: String(outputs.length),
    numRemovedBytes: sum(inputs),
    numAddedBytes: sum(outputs),
    numDeletionVectorsRemoved: String(inputs.filter(f => f.deletionVector !== undefined).length),
    minFileSize: quantile(0),
    p25FileSize: quantile(0.25),
    p50FileSize: quantile(0.5),
    p75FileSize: quantile(0.75),
    maxFileSize: quantile(1),
  }
}
