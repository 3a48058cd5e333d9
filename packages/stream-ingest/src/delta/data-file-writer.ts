/**
 * From the rows of an epoch to data files in the store: encoded where the rows are, uploaded under names that nobody
 * refers to yet.
 *
 * @module
 */
import {
  type Add,
  dataFileFormatOf,
  type EncodedDataFile,
  type ObjectStore,
  type ParquetEncoder,
  type Runtime,
  uploadDataFile,
} from '@stream-ingest/delta'
import {
  type BatchRows,
  type DataFileLayout,
  EncodedRatio,
  type EncodedSizes,
  EpochEncoder,
  type FilePlan,
} from './epoch-encoder.ts'
import type { RowPlan } from './table-fit.ts'

/** Files that may be on their way to the store at once; each holds its encoded bytes until it is there. */
export const UPLOADS_IN_FLIGHT_MAX = 4

/** Rows that another thread has. */
export interface RemoteRows {
  /** Encodes them there, file by file: the next one when it is asked for. May be called again, under another plan. */
  encode(plan: FilePlan): AsyncGenerator<EncodedDataFile, EncodedSizes, void>
}

export interface EpochRows extends BatchRows {
  /** Rows besides those of `batch`, decoded under the same schema. */
  readonly remote?: readonly RemoteRows[]
}

/** A data file in the store, and what a commit says of it. */
export interface UploadedFile {
  readonly add: Add
  readonly key: string
  readonly rowCount: number
  readonly sizeBytes: number
}

/** Time spent, over all epochs and threads. */
export interface FileStages {
  encodeMs: number
  uploadMs: number
}

export class DataFileWriter {
  readonly layout: DataFileLayout
  readonly stages: FileStages = { encodeMs: 0, uploadMs: 0 }
  private readonly store: ObjectStore
  private readonly encoder: EpochEncoder
  private readonly runtime: Runtime
  private readonly ratio = new EncodedRatio()

  constructor(store: ObjectStore, encoder: ParquetEncoder, runtime: Runtime, layout: DataFileLayout) {
    this.store = store
    this.encoder = new EpochEncoder(encoder, runtime, layout)
    this.runtime = runtime
    this.layout = layout
  }

  /** Encoded bytes per byte of columns, as last seen: tells when a file is large enough. */
  get encodedRatio(): number {
    return this.ratio.value
  }

  /** Each thread encodes its rows file by file, so that the next one is encoded while the ones before are on their way. */
  async upload(epoch: EpochRows, plan: RowPlan): Promise<UploadedFile[]> {
    const filePlan = filePlanOf(plan)
    const uploads = new Uploads(file => this.uploadFile(file))
    const { remote = [] } = epoch
    try {
      const sources = [this.encoder.encode(epoch, filePlan), ...remote.map(rows => rows.encode(filePlan))]
      // After a failure none goes on behind the caller's back.
      const taken = await Promise.allSettled(sources.map(files => uploads.takeAll(files)))
      for (const each of taken) {
        if (each.status === 'rejected') throw each.reason
        this.note(each.value)
      }
      return await Promise.all(uploads.started)
    } finally {
      await Promise.allSettled(uploads.started)
    }
  }

  /** Encodes rows of this thread without writing anything, file by file. */
  *encode(rows: BatchRows, plan: RowPlan): Generator<EncodedDataFile> {
    this.note(yield* this.encoder.encode(rows, filePlanOf(plan)))
  }

  private async uploadFile(file: EncodedDataFile): Promise<UploadedFile> {
    const startedMs = this.runtime.monotonicMs()
    // Crash here or while uploading: files that no commit names; VACUUM removes them, Kafka still has the rows.
    const add = await uploadDataFile(this.store, file, this.runtime)
    this.stages.uploadMs += this.runtime.monotonicMs() - startedMs
    return { add, key: file.key, rowCount: file.rowCount, sizeBytes: add.size }
  }

  private note(sizes: EncodedSizes): void {
    this.stages.encodeMs += sizes.encodeMs
    this.ratio.note(sizes)
  }
}

/** At most {@link UPLOADS_IN_FLIGHT_MAX} at once, whoever encodes. */
class Uploads {
  readonly started: Promise<UploadedFile>[] = []
  private readonly upload: (file: EncodedDataFile) => Promise<UploadedFile>
  private readonly inFlight = new Set<Promise<unknown>>()
  private failure: { readonly error: unknown } | null = null

  constructor(upload: (file: EncodedDataFile) => Promise<UploadedFile>) {
    this.upload = upload
  }

  /** @throws what an upload threw, or another of these calls */
  async takeAll(
    files:
      | Generator<EncodedDataFile, EncodedSizes, void>
      | AsyncGenerator<EncodedDataFile, EncodedSizes, void>,
  ): Promise<EncodedSizes> {
    try {
      for (;;) {
        const step = await files.next()
        if (step.done === true) return step.value
        this.start(step.value)
        while (this.inFlight.size >= UPLOADS_IN_FLIGHT_MAX) await Promise.race(this.inFlight)
        if (this.failure !== null) throw this.failure.error
      }
    } catch (error) {
      this.failure ??= { error }
      throw error
    } finally {
      // One that was not drained gives back what it holds.
      await files.return(NOTHING)
    }
  }

  private start(file: EncodedDataFile): void {
    const upload = this.upload(file)
    this.started.push(upload)
    this.inFlight.add(upload)
    upload.then(
      () => this.inFlight.delete(upload),
      error => {
        this.failure ??= { error }
        this.inFlight.delete(upload)
      },
    )
  }
}

const NOTHING: EncodedSizes = { columnBytes: 0, encodedBytes: 0, encodeMs: 0 }

function filePlanOf({ state, schema }: RowPlan): FilePlan {
  return { format: dataFileFormatOf(state), schema }
}
