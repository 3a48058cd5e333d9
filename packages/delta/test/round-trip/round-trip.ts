/**
 * A round trip: a copy of a table that another engine wrote is appended to, evolved, compacted, checkpointed and vacuumed
 * by us. After each step it must hold its rows of before and ours, be sound, and be read by the other engines as by us.
 *
 * An engine that read the table as we do before anything was written is held to that ever after. One that could not, or
 * that reads it otherwise, has a gap or a bug of its own: the table says nothing about our writing to it.
 *
 * @module
 */
import { cp } from 'node:fs/promises'
import {
  checkTable,
  createParquetEncoder,
  DeltaLakeError,
  DeltaTable,
  encodeDataFile,
  evolvedState,
  evolveTable,
  field,
  LocalObjectStore,
  loadSnapshot,
  optimizeTable,
  primitive,
  type Runtime,
  type StructType,
  scanTable,
  struct,
  systemRuntime,
  type TableRow,
  type TableState,
  uploadDataFile,
  vacuumTable,
  writeCheckpoint,
} from '@stream-ingest/delta'
import { appendFields, BatchBuilder, type ColumnBatch } from '@stream-ingest/delta/column'
import type { StructField } from '../../src/schema.ts'
import { ContentHash } from '../content-hash.ts'
import { inventedPartition, inventedRow } from './invented-row.ts'

const APP_ID = 'round-trip'
const ROWS_PER_FILE = 7
const FILES_PER_APPEND = 3
/** A table with more is not copied and held in memory. */
const ROWS_MAX = 50_000
const MS_PER_DAY = 86_400_000

/** What the table holds, as one engine sees it. */
export interface Content {
  readonly rowCount: number
  /** See `content-hash.ts`. */
  readonly hash: string
  readonly txn: bigint | null
}

/** Other engines. */
export interface OtherReaders {
  readonly engines: readonly string[]
  /** A known bug that the table as it was may not show; null where there is none. */
  excuse(engine: string, state: TableState): string | null
  /** What each of `engines` sees, or its own words where it sees nothing. */
  read(
    folder: string,
    appId: string,
    engines: readonly string[],
  ): Promise<ReadonlyMap<string, Content | { readonly error: string }>>
}

export interface RoundTrip {
  /** Null where the trip was made. */
  readonly refusal: string | null
  readonly problems: readonly string[]
  readonly steps: readonly string[]
  /** Engines that were held to our reading. */
  readonly heldTo: readonly string[]
  /** Engines that were not, each with the reason. */
  readonly excused: ReadonlyMap<string, string>
}

/**
 * Makes the trip.
 *
 * @param source the table; it is not changed
 * @param folder a new one, for the copy
 */
export async function makeRoundTrip(
  source: string,
  folder: string,
  others: OtherReaders | null,
): Promise<RoundTrip> {
  await cp(source, folder, { recursive: true })
  const trip = new Trip(folder, others)
  try {
    await trip.run()
  } catch (error) {
    if (trip.refusal === null) trip.problems.push(`${trip.step}: ${textOf(error)}`)
  }
  const { refusal, problems, steps, heldTo, excused } = trip
  return { refusal, problems, steps, heldTo, excused }
}

class Trip {
  refusal: string | null = null
  step = 'opening'
  readonly problems: string[] = []
  readonly steps: string[] = []
  heldTo: string[] = []
  readonly excused = new Map<string, string>()
  readonly #folder: string
  readonly #store: LocalObjectStore
  readonly #others: OtherReaders | null
  readonly #encoder = createParquetEncoder()
  #rows: TableRow[] = []
  #findingsBefore = new Set<string>()
  #nextRow = 1
  #txnVersion = 0n

  constructor(folder: string, others: OtherReaders | null) {
    this.#folder = folder
    this.#store = new LocalObjectStore(folder)
    this.#others = others
  }

  async run(): Promise<void> {
    const before = await this.#takeStock()
    if (before === null) return
    if (!(await this.#append('append', false))) return
    await this.#append('evolve', true)
    await this.#do('optimize', async () => {
      const { filesRemoved } = await optimizeTable(this.#store, { maxDeletedRowsRatio: 0 })
      // Our own files alone are more than one in a partition.
      if (filesRemoved === 0) this.problems.push('optimize: nothing was compacted')
    })
    await this.#do('checkpoint', async () => {
      const { version } = (await loadSnapshot(this.#store))!
      await writeCheckpoint(this.#store, version, this.#encoder, systemRuntime)
    })
    await this.#append('append again', false)
    await this.#do('optimize by copying', async () => {
      await optimizeTable(this.#store, { maxDeletedRowsRatio: 0, rowGroupCopyMinBytes: 1 })
    })
    await this.#do('vacuum', async () => {
      // Long after: everything that is no part of the table is old enough to go.
      const { filesDeleted } = await vacuumTable(this.#store, { runtime: later(4_000) })
      if (filesDeleted === 0) this.problems.push('vacuum: nothing was deleted')
    })
  }

  /** The rows as they are, which the engines see them so, and what the checker says of them. */
  async #takeStock(): Promise<Content | null> {
    let content: Content
    try {
      this.#rows = await this.#scan()
      content = await this.#content()
    } catch (error) {
      return this.#refuse(error)
    }
    if (this.#rows.length > ROWS_MAX) return this.#refuse(`it has more than ${ROWS_MAX} rows`)
    this.#findingsBefore = new Set(await this.#findings())
    if (this.#others === null) return content
    const seen = await this.#others.read(this.#folder, APP_ID, this.#others.engines)
    for (const [engine, answer] of seen) {
      if ('error' in answer) this.excused.set(engine, answer.error)
      else if (answer.hash !== content.hash) this.excused.set(engine, 'reads the table otherwise')
      else {
        const excuse = this.#others.excuse(engine, await this.#state())
        if (excuse === null) this.heldTo.push(engine)
        else this.excused.set(engine, excuse)
      }
    }
    return content
  }

  #refuse(reason: unknown): null {
    this.refusal = textOf(reason)
    return null
  }

  async #do(step: string, work: () => Promise<void>): Promise<void> {
    this.step = step
    await work()
    this.steps.push(step)
    await this.#compare(step)
  }

  /** @returns false where the table must not be written */
  async #append(step: string, evolves: boolean): Promise<boolean> {
    this.step = step
    const table = (await DeltaTable.open(this.#store))!
    const evolution = evolves
      ? evolveTable(table.state, widerSchema(table.state.schema), systemRuntime.uuid)
      : ({ status: 'unchanged' } as const)
    if (evolution.status === 'incompatible') throw new Error(evolution.problems.join('; '))
    const state = evolvedState(table.state, evolution)
    const added: TableRow[] = []
    try {
      const adds = []
      const rowCounts = []
      for (let file = 0; file < FILES_PER_APPEND; file++) {
        // Two of three files of an append are of one partition.
        const made = this.#inventFile(state, file === 2 ? 1 : 0)
        const encoded = encodeDataFile(
          state,
          this.#encoder,
          made.batch,
          made.partitionValues,
          { codec: 'snappy' },
          systemRuntime,
        )
        adds.push(await uploadDataFile(this.#store, encoded, systemRuntime))
        rowCounts.push(made.rows.length)
        added.push(...made.rows)
      }
      const version = ++this.#txnVersion
      const outcome = await table.append({
        adds,
        rowCounts,
        txns: [{ appId: APP_ID, version, lastUpdated: Date.now() }],
        ...(evolution.status === 'evolved' ? { change: evolution } : {}),
      })
      if (outcome.status !== 'committed') throw new Error(`the append met ${JSON.stringify(outcome.reason)}`)
    } catch (error) {
      const isRefusal = error instanceof DeltaLakeError && error.code === 'DELTA_PROTOCOL_UNSUPPORTED'
      if (!isRefusal || this.steps.length > 0) throw error
      this.refusal = error.message
      return false
    }
    const names = state.schema.fields.map(f => f.name)
    this.#rows = [...this.#rows, ...added].map(row => withColumns(row, state.schema, names))
    await table.upkeep()
    this.steps.push(step)
    await this.#compare(step)
    return true
  }

  #inventFile(
    state: TableState,
    partition: number,
  ): {
    batch: ColumnBatch
    rows: TableRow[]
    partitionValues: Record<string, string | null>
  } {
    const { partitionColumns } = state.metadata
    const isVoid = ({ type }: StructField): boolean => type.kind === 'primitive' && type.name === 'void'
    const data = struct(state.schema.fields.filter(f => !partitionColumns.includes(f.name) && !isVoid(f)))
    const constants: Record<string, unknown> = {}
    const partitionValues: Record<string, string | null> = {}
    for (const name of partitionColumns) {
      const column = state.schema.fields.find(f => f.name === name)!
      const { value, text } = inventedPartition(column, partition + 1)
      constants[name] = value
      partitionValues[name] = text
    }
    const builder = new BatchBuilder(data)
    const rows: TableRow[] = []
    for (let i = 0; i < ROWS_PER_FILE; i++) {
      const row = inventedRow(data, this.#nextRow++)
      appendFields(data.fields, builder.columns, row)
      builder.endRow()
      rows.push({ ...row, ...constants })
    }
    return { batch: builder.finish(), rows, partitionValues }
  }

  async #compare(step: string): Promise<void> {
    const expected = hashOf((await this.#state()).schema, this.#rows)
    const content = await this.#content()
    if (content.hash !== expected.hash || content.rowCount !== expected.rowCount) {
      this.problems.push(
        `${step}: we read ${content.rowCount} rows ${content.hash}, not ${expected.rowCount} rows ${expected.hash}`,
      )
    }
    for (const finding of await this.#findings()) {
      if (!this.#findingsBefore.has(finding)) this.problems.push(`${step}: ${finding}`)
    }
    if (this.#others === null || this.heldTo.length === 0) return
    const seen = await this.#others.read(this.#folder, APP_ID, this.heldTo)
    for (const [engine, answer] of seen) {
      const said =
        'error' in answer
          ? answer.error
          : answer.hash !== expected.hash || answer.rowCount !== expected.rowCount
            ? `reads ${answer.rowCount} rows ${answer.hash}, not ${expected.rowCount} rows ${expected.hash}`
            : answer.txn !== this.#txnVersion
              ? `reads the progress ${answer.txn}, not ${this.#txnVersion}`
              : null
      if (said !== null) this.problems.push(`${step}: ${engine}: ${said}`)
    }
  }

  async #state(): Promise<TableState> {
    return (await loadSnapshot(this.#store))!.state
  }

  async #content(): Promise<Content> {
    const { schema, txns } = await this.#state()
    return { ...hashOf(schema, await this.#scan()), txn: txns.get(APP_ID)?.version ?? null }
  }

  async #scan(): Promise<TableRow[]> {
    const snapshot = await loadSnapshot(this.#store)
    if (snapshot === null) throw new Error('there is no table')
    const rows: TableRow[] = []
    for await (const batch of scanTable(snapshot, { limit: ROWS_MAX + 1 })) rows.push(...batch)
    return rows
  }

  /** Versions and file names differ from step to step: a finding is known by its rule and what it is about. */
  async #findings(): Promise<string[]> {
    const { findings } = await checkTable(this.#store, { deep: true })
    return findings.map(({ rule, message }) => `${rule}: ${message}`)
  }
}

/** A column of each kind more, and a field more in the first struct. */
function widerSchema(schema: StructType): StructType {
  let isNested = false
  const fields = schema.fields.map(f => {
    if (isNested || f.type.kind !== 'struct') return f
    isNested = true
    return { ...f, type: struct([...f.type.fields, field('round_trip_inner', primitive('long'))]) }
  })
  return struct([
    ...fields,
    field('round_trip_text', primitive('string')),
    field(
      'round_trip_place',
      struct([field('x', primitive('double')), field('seen', primitive('timestamp'))]),
    ),
  ])
}

/** What a row of before lacks is null, at every depth. */
function withColumns(row: TableRow, { fields }: StructType, names: readonly string[]): TableRow {
  return Object.fromEntries(
    names.map((name, i) => {
      const value = row[name] ?? null
      const { type } = fields[i]!
      if (value === null || type.kind !== 'struct') return [name, value]
      const inner = type.fields.map(f => f.name)
      return [name, withColumns(value as TableRow, type, inner)]
    }),
  )
}

function hashOf(schema: StructType, rows: readonly TableRow[]): { rowCount: number; hash: string } {
  const hash = new ContentHash(schema)
  for (const row of rows) hash.add(row)
  return { rowCount: hash.rowCount, hash: hash.hex() }
}

function later(days: number): Runtime {
  return { ...systemRuntime, now: () => Date.now() + days * MS_PER_DAY }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
