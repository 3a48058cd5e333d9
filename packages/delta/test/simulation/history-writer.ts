/**
 * One of the writers of a random history: it appends rows with its own progress, sometimes with a column that the table
 * does not have yet, compacts, deletes, replaces all rows, and writes checkpoints. When it dies it starts again from the table.
 *
 * @module
 */
import assert from 'node:assert/strict'
import {
  createParquetEncoder,
  type DataType,
  DeltaTable,
  encodeDataFile,
  evolvedState,
  evolveTable,
  field,
  loadSnapshot,
  optimizeTable,
  primitive,
  type StructType,
  struct,
  type TableRow,
  uploadDataFile,
} from '@stream-ingest/delta'
import { appendFields, BatchBuilder } from '@stream-ingest/delta/column'
import { commitDeletion, deleteByVector, type FileDeletion, liveIds, removeFile } from './foreign-delete.ts'
import { type History, INITIAL_SCHEMA, isExpectedFailure } from './history.ts'

const encoder = createParquetEncoder()
/** Attempts of one append whose schema another writer changed, or of one overwrite. */
const PLANS_MAX = 20
/** Columns that may come: few, so that writers evolve towards the same ones. */
const EXTRA_COLUMNS: readonly (readonly [name: string, type: DataType])[] = [
  ['extra_text', primitive('string')],
  ['extra_count', primitive('long')],
  ['extra_place', struct([field('x', primitive('double')), field('label', primitive('string'))])],
]

export class HistoryWriter {
  readonly #history: History
  readonly #name: string
  #table: DeltaTable | null = null
  #idBase: bigint
  #idCount = 0n

  constructor(history: History, name: string) {
    this.#history = history
    this.#name = name
    this.#idBase = BigInt(name.split('-')[1]!) * 1_000_000n
  }

  async create(): Promise<void> {
    await this.#open()
  }

  async run(stepCount: number): Promise<void> {
    for (let step = 0; step < stepCount; step++) {
      try {
        await this.#step()
      } catch (error) {
        if (!isExpectedFailure(error)) throw error
        this.#history.count('died')
        this.#table = null
      }
    }
  }

  async #step(): Promise<void> {
    const kind = this.#history.pick(10)
    // Rarely, as little is left to compact and to delete after it.
    if (kind < 5) await this.#write(this.#history.random() < 0.05 ? 'overwrite' : 'append', false)
    else if (kind < 6) await this.#write('append', true)
    else if (kind < 8) await this.#delete()
    else await this.#optimize()
  }

  async #open(): Promise<DeltaTable> {
    // A table that is held open is behind the others, as a running writer's is.
    if (this.#table !== null) return this.#table
    const { table } = await DeltaTable.openOrCreate(
      this.#history.root,
      {
        schema: INITIAL_SCHEMA,
        partitionColumns: this.#history.isPartitioned ? ['part'] : [],
        properties: this.#history.properties,
      },
      { runtime: this.#history.runtime },
    )
    this.#table = table
    return table
  }

  async #write(mode: 'append' | 'overwrite', evolves: boolean): Promise<void> {
    const history = this.#history
    const table = await this.#open()
    const extra = evolves ? EXTRA_COLUMNS[history.pick(EXTRA_COLUMNS.length)]! : null
    const ids = Array.from({ length: 1 + history.pick(12) }, () => this.#idBase + this.#idCount++)
    const part = history.pick(3)
    const txnId = history.runtime.uuid()
    for (let plan = 1; plan <= PLANS_MAX; plan++) {
      const version = (table.state.txns.get(this.#name)?.version ?? 0n) + 1n
      const wanted =
        extra === null
          ? table.state.schema
          : struct([...table.state.schema.fields.filter(f => f.name !== extra[0]), field(...extra)])
      const evolution = evolveTable(table.state, wanted, history.runtime.uuid)
      assert(evolution.status !== 'incompatible', JSON.stringify(evolution))
      const change = evolution.status === 'evolved' ? evolution : null
      const state = change === null ? table.state : evolvedState(table.state, change)
      const rows = ids.map(id => rowOf(id, part, state.schema))
      const adds = []
      const rowCounts = []
      for (const group of this.#history.isPartitioned ? [rows] : [rows.slice(0, 3), rows.slice(3)]) {
        if (group.length === 0) continue
        const file = encodeDataFile(
          state,
          encoder,
          batchOf(state.schema, state.metadata.partitionColumns, group),
          history.isPartitioned ? { part: String(part) } : {},
          { codec: 'snappy' },
          history.runtime,
        )
        adds.push(await uploadDataFile(history.root, file, history.runtime))
        rowCounts.push(group.length)
      }
      history.note(txnId, { added: rows, removedIds: [], replacesAll: mode === 'overwrite' })
      const outcome = await table[mode]({
        adds,
        rowCounts,
        txns: [{ appId: this.#name, version, lastUpdated: history.runtime.now() }],
        txnId,
        ...(change === null ? {} : { change }),
      })
      if (outcome.status === 'committed') {
        history.answer(txnId, 'committed')
        history.count(mode === 'overwrite' ? 'overwritten' : change === null ? 'appended' : 'evolved')
        await table.upkeep(encoder)
        return
      }
      history.answer(txnId, 'refused')
      history.count(`${mode} met ${outcome.reason.kind}`)
      await table.reload()
      // A dead life of this writer was not so dead: its rows are others, and this append may still be made.
    }
    assert.fail(`the schema changed ${PLANS_MAX} times during one ${mode}`)
  }

  async #optimize(): Promise<void> {
    const history = this.#history
    await this.#open()
    const { commits, conflicts } = await optimizeTable(history.root, {
      runtime: history.runtime,
      targetFileSizeBytes: 4_000 + history.pick(20_000),
      maxDeletedRowsRatio: history.random() < 0.5 ? 0 : 0.5,
      rowGroupCopyMinBytes: history.random() < 0.5 ? 1 : 1 << 20,
    })
    if (commits > 0) history.count('optimized')
    if (conflicts > 0) history.count('optimize met a conflict')
  }

  async #delete(): Promise<void> {
    const history = this.#history
    const { runtime } = history
    const snapshot = await loadSnapshot(history.root, { nowMs: runtime.now() })
    if (snapshot === null) return
    const files = await snapshot.allFiles()
    if (files.length === 0) return
    const add = files[history.pick(files.length)]!
    const live = await liveIds(snapshot, add)
    const chosen = live.filter(() => history.random() < 0.4)
    if (chosen.length === 0) return
    const byVector =
      snapshot.state.metadata.configuration['delta.enableDeletionVectors'] === 'true' &&
      chosen.length < live.length
    const deletion: FileDeletion = byVector
      ? await deleteByVector(snapshot, add, chosen, runtime.now())
      : removeFile(
          add,
          live.map(row => row.id),
          runtime.now(),
        )
    const txnId = runtime.uuid()
    history.note(txnId, { added: [], removedIds: deletion.removedIds })
    const { status } = await commitDeletion(snapshot, deletion, txnId, runtime.now())
    if (status === 'created') {
      history.answer(txnId, 'committed')
      history.count(byVector ? 'deleted by vector' : 'removed a file')
      return
    }
    // `exists` may be this very commit, when its first answer was lost: only the log knows.
    history.count(`delete got ${status}`)
  }
}

/** The same for the same id, so that a row can be made again. */
function rowOf(id: bigint, part: number, schema: StructType): TableRow {
  const n = Number(id)
  const all: Record<string, unknown> = {
    id,
    part,
    name: n % 5 === 0 ? null : `name ${n % 7}`,
    tags: n % 4 === 0 ? null : n % 4 === 1 ? [] : [`t${n % 3}`, null],
    extra_text: `text ${n}`,
    extra_count: id * 3n,
    extra_place: n % 6 === 0 ? null : { x: n / 2, label: n % 2 === 0 ? null : `l${n}` },
  }
  return Object.fromEntries(schema.fields.map(f => [f.name, all[f.name] ?? null]))
}

function batchOf(schema: StructType, partitionColumns: readonly string[], rows: readonly TableRow[]) {
  const data = struct(schema.fields.filter(f => !partitionColumns.includes(f.name)))
  const builder = new BatchBuilder(data)
  for (const row of rows) {
    appendFields(data.fields, builder.columns, row)
    builder.endRow()
  }
  return builder.finish()
}
