/**
 * Independent readers of Delta tables: delta-rs and DuckDB in a Python environment of their own, asked through
 * `scripts/readers/read_table.py`.
 *
 * @module
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installOnce, runCommand, runToSuccess } from './installation.ts'
import { PartUnavailableError, StackError } from './stack-error.ts'

/** DuckDB's Delta extension exists as a package only for this DuckDB; newer ones fetch it from elsewhere. */
const REQUIREMENTS = [
  'deltalake==1.6.6',
  'pyarrow==26.0.1',
  'duckdb==1.5.5',
  'duckdb-extension-delta==1.5.5',
  'duckdb-extension-httpfs==1.5.5',
]
const PYTHON_MINOR_MIN = 10
const READ_TABLE = fileURLToPath(new URL('../readers/read_table.py', import.meta.url))

export type ReaderEngine = 'delta-rs' | 'duckdb'

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
  /** When asked for: see {@link ReadTableOptions.contentHash}. */
  readonly contentHash?: string
  /** When asked for: every place where a file's statistics do not bound its rows. Empty is right. DuckDB only. */
  readonly statisticsProblems?: readonly string[]
  /** How many files and how many minimums and maximums {@link ReadTableOptions.checkStatistics} compared. */
  readonly statisticsFileCount?: number
  readonly statisticsBoundCount?: number
}

export interface S3Access {
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
  readonly region?: string
}

export interface ReadTableOptions {
  /** The interpreter of {@link installReaders}. */
  readonly python: string
  /** A folder, or `s3://bucket/key`. */
  readonly uri: string
  readonly s3?: S3Access
  readonly engines?: readonly ReaderEngine[]
  readonly version?: number
  readonly appIds?: readonly string[]
  /**
   * Also a hash of all rows in any order: for each row the JSON text of its values in column order, without spaces;
   * SHA-256 of it; the first 16 bytes as a big-endian number; all of them added modulo 2^128; 32 hexadecimal digits.
   * In the text integers are digits, decimals strings with full scale, floats the 16 hexadecimal digits of their
   * float64 bits as a string, instants microseconds, dates days, binary hexadecimal strings, lists arrays, structs
   * arrays of their fields in order, maps arrays of `[key, value]` ordered by their text.
   */
  readonly contentHash?: boolean
  /** Also compares each file's statistics in the log with the rows that DuckDB finds in that file. */
  readonly checkStatistics?: boolean
}

/** Makes the Python environment unless it is there; returns its interpreter. Throws `PartUnavailableError`. */
export async function installReaders(): Promise<string> {
  const system = await findPython()
  const folder = await installOnce('python', [system.version, ...REQUIREMENTS], async target => {
    const created = await runCommand(system.command, ['-m', 'venv', target])
    if (created.exitCode !== 0)
      throw new PartUnavailableError(
        `\`${system.command} -m venv\` does not work on this machine: ${created.stdout.trim().split('\n')[0]}`,
      )
    const python = join(target, 'bin', 'python')
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input']
    await runToSuccess(python, [...pip, ...REQUIREMENTS])
  })
  return join(folder, 'bin', 'python')
}

/** What each engine sees of the table. Throws {@link StackError} with the engine's own words when one cannot read it. */
export async function readTable(options: ReadTableOptions): Promise<readonly TableReading[]> {
  const { s3 } = options
  const output = await runToSuccess(options.python, [READ_TABLE], {
    input: JSON.stringify({
      uri: options.uri,
      engines: options.engines ?? ['delta-rs', 'duckdb'],
      version: options.version ?? null,
      appIds: options.appIds ?? [],
      contentHash: options.contentHash ?? false,
      checkStatistics: options.checkStatistics ?? false,
      s3: s3 && {
        endpoint: s3.endpoint,
        accessKey: s3.accessKey,
        secretKey: s3.secretKey,
        region: s3.region ?? 'us-east-1',
      },
    }),
  })
  const readings = output
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as TableReading & { readonly error?: string })
  const failed = readings.filter(reading => reading.error !== undefined)
  if (failed.length > 0)
    throw new StackError(failed.map(reading => `${reading.engine}: ${reading.error}`).join('\n'))
  return readings
}

async function findPython(): Promise<{ readonly command: string; readonly version: string }> {
  const { exitCode, stdout } = await runCommand('python3', ['--version'])
  const version = /Python 3\.(\d+)\./.exec(stdout)
  if (exitCode !== 0 || version === null)
    throw new PartUnavailableError('`python3 --version` does not work on this machine')
  if (Number(version[1]) < PYTHON_MINOR_MIN)
    throw new PartUnavailableError(
      `Python 3.${PYTHON_MINOR_MIN} or newer is needed; this is ${stdout.trim()}`,
    )
  return { command: 'python3', version: stdout.trim() }
}
