/**
 * Independent readers of Delta tables, each asked by the same requests: delta-rs, DuckDB and Spark through
 * `scripts/readers/read_table.py`, Delta Kernel through `scripts/readers/kernel/KernelReader.java`.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeFolderWhenKilled } from './managed-process.ts'
import type { SparkInstallation } from './reader-installation.ts'
import { type ReaderCommand, ReaderProcess } from './reader-process.ts'
import { StackError } from './stack-error.ts'

const READ_TABLE = fileURLToPath(new URL('../readers/read_table.py', import.meta.url))
/** Spark takes a minute to start on a busy machine; nothing that is tested takes longer than that to read. */
const READ_TIMEOUT_MS = 5 * 60_000

/** By the name that requests and answers have. */
export type ReaderEngine = 'delta-rs' | 'duckdb' | 'kernel-java' | 'spark'

/** Figures over one leaf column (`address.city`, `tags.element`, `labels.key`, `labels.value` for nested ones). */
export interface ColumnReading {
  /** As Arrow names it, e.g. `int64`, `timestamp[us, tz=UTC]`, `decimal128(10, 2)`. */
  readonly type: string
  /** Values that are not null. */
  readonly count: number
  readonly nulls: number
  /**
   * Integers and decimals: exact digits. Floats: the shortest digits that give the value back. Instants: microseconds
   * since the epoch. Dates: days since the epoch. Booleans: `true`, `false`. Binary: hexadecimal. Null without a value.
   */
  readonly min: string | null
  readonly max: string | null
  /**
   * Of numbers, and of instants and dates in the units above; the number of `true` of a boolean; the total bytes of
   * strings and binary. Exact; of floats the float64 nearest to the exact sum.
   */
  readonly sum: string | null
}

export interface TableReading {
  readonly engine: ReaderEngine
  readonly engineVersion: string
  /** The version read, as the engine tells it. Null where the engine does not tell (DuckDB). */
  readonly version: number | null
  readonly rowCount: number
  readonly columns: Readonly<Record<string, ColumnReading>>
  /** Of the application ids that were asked for; null for one that the table does not know. */
  readonly txns: Readonly<Record<string, number | null>>
  /** When asked for: see {@link ReadTableRequest.contentHash}. */
  readonly contentHash?: string
  /** When asked for: every place where a file's statistics do not bound its rows. Empty is right. DuckDB only. */
  readonly statisticsProblems?: readonly string[]
  /** How many files and how many minimums and maximums {@link ReadTableRequest.checkStatistics} compared. */
  readonly statisticsFileCount?: number
  readonly statisticsBoundCount?: number
}

export interface S3Access {
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
  readonly region?: string
}

/** Where the engines are: what `reader-installation.ts` installs. */
export interface ReaderPrograms {
  /** The interpreter with delta-rs and DuckDB. */
  readonly python?: string
  /** The class path of the reader on Delta Kernel. */
  readonly kernel?: string
  readonly spark?: SparkInstallation
}

export interface ReadTableRequest {
  /** A folder, or `s3://bucket/key` (delta-rs and DuckDB alone). */
  readonly uri: string
  readonly s3?: S3Access
  readonly version?: number
  readonly appIds?: readonly string[]
  /** Also the hash of all rows that `packages/delta/test/content-hash.ts` defines. */
  readonly contentHash?: boolean
  /** Also compares each file's statistics in the log with the rows that DuckDB finds in that file. */
  readonly checkStatistics?: boolean
}

/** What an engine says that cannot read a table, in its own words. */
export interface ReaderFailure {
  readonly engine: ReaderEngine
  readonly error: string
}

export function isFailure(answer: TableReading | ReaderFailure): answer is ReaderFailure {
  return 'error' in answer
}

export interface ReadTableOptions extends ReadTableRequest {
  /** The interpreter with delta-rs and DuckDB. */
  readonly python: string
}

/** What delta-rs and DuckDB see of the table. Throws {@link StackError} with an engine's own words when it cannot read. */
export async function readTable(options: ReadTableOptions): Promise<readonly TableReading[]> {
  const { python, ...request } = options
  const readers = new TableReaders({ python })
  try {
    const answers = await readers.read(request)
    const failures = answers.flatMap(answer =>
      isFailure(answer) ? [`${answer.engine}: ${answer.error}`] : [],
    )
    if (failures.length > 0) throw new StackError(failures.join('\n'))
    return answers.flatMap(answer => (isFailure(answer) ? [] : [answer]))
  } finally {
    await readers.close()
  }
}

/** Readers that are started with the first table and read many. Each engine is a process of its own. */
export class TableReaders {
  readonly #programs: ReaderPrograms
  readonly #processes = new Map<ReaderEngine, ReaderProcess>()
  #folder: Promise<string> | undefined

  constructor(programs: ReaderPrograms) {
    this.#programs = programs
  }

  /** The engines that there are programs of. */
  get engines(): readonly ReaderEngine[] {
    const { python, kernel, spark } = this.#programs
    return [
      ...(python === undefined ? [] : (['delta-rs', 'duckdb'] as const)),
      ...(kernel === undefined ? [] : (['kernel-java'] as const)),
      ...(spark === undefined ? [] : (['spark'] as const)),
    ]
  }

  /** Asks the engines at once. An engine that cannot read, crashes or hangs answers with an error. */
  async read(
    request: ReadTableRequest,
    engines: readonly ReaderEngine[] = this.engines,
  ): Promise<readonly (TableReading | ReaderFailure)[]> {
    const { uri, s3, version = null, appIds = [], contentHash = false, checkStatistics = false } = request
    const question = {
      uri,
      version,
      appIds,
      contentHash,
      checkStatistics,
      s3: s3 && { ...s3, region: s3.region ?? 'us-east-1' },
    }
    return Promise.all(
      engines.map(async engine => {
        const reader = await this.#processOf(engine)
        const answer = await reader.ask({ ...question, engines: [engine] }, READ_TIMEOUT_MS)
        return { ...answer, engine } as TableReading | ReaderFailure
      }),
    )
  }

  async close(): Promise<void> {
    await Promise.all([...this.#processes.values()].map(reader => reader.close()))
    this.#processes.clear()
    if (this.#folder !== undefined) await rm(await this.#folder, { recursive: true, force: true })
    this.#folder = undefined
  }

  async #processOf(engine: ReaderEngine): Promise<ReaderProcess> {
    this.#folder ??= temporaryFolder()
    const folder = await this.#folder
    let reader = this.#processes.get(engine)
    if (reader === undefined) {
      reader = new ReaderProcess(commandOf(engine, this.#programs, folder))
      this.#processes.set(engine, reader)
    }
    return reader
  }
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'stream-ingest-readers-'))
  removeFolderWhenKilled(folder)
  return folder
}

function commandOf(engine: ReaderEngine, programs: ReaderPrograms, folder: string): ReaderCommand {
  const { python, kernel, spark } = programs
  const env = { TMPDIR: folder }
  switch (engine) {
    case 'delta-rs':
    case 'duckdb':
      if (python !== undefined) return { command: python, args: [READ_TABLE], env }
      break
    case 'kernel-java':
      if (kernel !== undefined) return { command: 'java', args: kernelArgs(kernel, folder) }
      break
    case 'spark':
      if (spark !== undefined) {
        return { command: spark.python, args: [READ_TABLE], env: { ...env, READERS_SPARK_JARS: spark.jars } }
      }
      break
  }
  throw new StackError(`there is no program of the reader \`${engine}\``)
}

function kernelArgs(classPath: string, folder: string): string[] {
  const settings = ['-Xmx1g', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Duser.timezone=UTC']
  return [...settings, `-Djava.io.tmpdir=${folder}`, '-cp', classPath, 'KernelReader']
}
