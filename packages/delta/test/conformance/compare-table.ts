/**
 * One table against what a manifest says of it.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { DeltaLakeError } from '../../src/error.ts'
import { formatJson } from '../../src/json.ts'
import { loadTableState } from '../../src/load-table-state.ts'
import { SCAN_READER_FEATURES, scanTable } from '../../src/operation/scan.ts'
import { loadSnapshot, type Snapshot } from '../../src/snapshot.ts'
import { LocalObjectStore } from '../../src/store/local.ts'
import type { ObjectStore } from '../../src/store/object-store.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { TableState } from '../../src/table-state.ts'
import { ContentHash } from '../content-hash.ts'
import { ColumnFigures, sameFigure, typeText } from './column-figures.ts'
import type { ColumnExpectation, ManifestEntry, TableExpectation } from './manifest.ts'

/** A table that takes longer hangs. */
const TABLE_TIME_MAX_MS = 5 * 60_000

export interface Comparison {
  /** One text a disagreement; none where everything is as expected. */
  readonly disagreements: readonly string[]
  /** The message where the table was refused for a feature that is not implemented, as it must be then. */
  readonly refusal: string | null
}

/** What was read of one version. */
interface ReadVersion {
  readonly rows: number
  readonly hash: string
  readonly columns: ReadonlyMap<string, ColumnExpectation>
}

/** Compares; never throws for what the table is like. */
export async function compareTable(entry: ManifestEntry): Promise<Comparison> {
  const comparing = new TableComparison(entry)
  try {
    await comparing.run()
  } catch (error) {
    comparing.disagree(failureText(error))
  }
  return { disagreements: comparing.disagreements, refusal: comparing.refusal }
}

class TableComparison {
  readonly disagreements: string[] = []
  refusal: string | null = null
  readonly #entry: ManifestEntry
  readonly #store: LocalObjectStore
  readonly #signal = AbortSignal.timeout(TABLE_TIME_MAX_MS)

  constructor(entry: ManifestEntry) {
    this.#entry = entry
    this.#store = new LocalObjectStore(entry.folder)
  }

  disagree(text: string): void {
    this.disagreements.push(text)
  }

  async run(): Promise<void> {
    const { verdict, expect, folder } = this.#entry
    // A folder that is not there would pass for a table that is refused.
    if (!existsSync(folder)) {
      this.disagree('the folder does not exist')
      return
    }
    if (verdict === 'log-only') await this.#compareLog(expect)
    else if (expect.reject !== undefined && expect.rows === undefined) await this.#compareRejection()
    else await this.#compareRead(expect)
  }

  async #compareRejection(): Promise<void> {
    const error = await this.#failureOf(async () => {
      await this.#read(await this.#open())
    })
    if (error === null) this.disagree(`must be refused, and was read (${this.#entry.expect.reject})`)
    else this.#checkRefusal(error)
  }

  async #compareLog(expect: TableExpectation): Promise<void> {
    const snapshot = await this.#open()
    await this.#compareSnapshot(snapshot, expect)
    const error = await this.#failureOf(() => this.#read(snapshot))
    if (error === null) this.disagree(`reading rows must fail, and did not (${expect.reject})`)
  }

  async #compareRead(expect: TableExpectation): Promise<void> {
    let snapshot: Snapshot
    let read: ReadVersion
    try {
      snapshot = await this.#open()
      read = await this.#read(snapshot)
    } catch (error) {
      if (!this.#isFeatureRefusal(error)) throw error
      this.refusal = error.message
      return
    }
    await this.#compareSnapshot(snapshot, expect)
    this.#compareSchema(snapshot, expect)
    this.#compare('rows', expect.rows, read.rows)
    this.#compare('hash', expect.hash, read.hash)
    for (const [name, expected] of Object.entries(expect.columns ?? {})) {
      this.#compareColumn(name, expected, read.columns.get(name))
    }
    await this.#compareVersions()
  }

  async #compareSnapshot(snapshot: Snapshot, expect: TableExpectation): Promise<void> {
    const { state } = snapshot
    this.#compare('version', expect.version, state.version)
    let numFiles = 0
    let sizeBytes = 0
    for await (const { size } of snapshot.files({ signal: this.#signal })) {
      numFiles++
      sizeBytes += size
    }
    this.#compare('files', expect.files, numFiles)
    for (const [appId, version] of Object.entries(expect.txn ?? {})) {
      this.#compare(`txn \`${appId}\``, BigInt(version), state.txns.get(appId)?.version)
    }
    if (expect.txn !== undefined) this.#compare('txns', Object.keys(expect.txn).length, state.txns.size)
    // A writer opens the table without its files; both ways must come to the same.
    const opened = await loadTableState(this.#store, { signal: this.#signal })
    this.#compare('state of a writer', stateText(state), opened === null ? 'none' : stateText(opened))
    if (opened?.fileTotals) {
      this.#compare(
        'files of a writer',
        `${numFiles}/${sizeBytes}`,
        Object.values(opened.fileTotals).join('/'),
      )
    }
  }

  #compareSchema({ state }: Snapshot, expect: TableExpectation): void {
    const schema = state.schema.fields.map(({ name, type }) => [name, typeText(type)])
    if (expect.schema !== undefined) {
      this.#compare('schema', JSON.stringify(expect.schema), JSON.stringify(schema))
    }
  }

  #compareColumn(name: string, expected: ColumnExpectation, read: ColumnExpectation | undefined): void {
    if (read === undefined) {
      this.disagree(`column \`${name}\`: is not there`)
      return
    }
    this.#compare(`column \`${name}\` type`, expected.type, read.type)
    this.#compare(`column \`${name}\` nulls`, expected.nulls, read.nulls)
    for (const figure of ['sum', 'min', 'max'] as const) {
      if (sameFigure(read.type, expected[figure], read[figure])) continue
      this.#compare(`column \`${name}\` ${figure}`, expected[figure], read[figure])
    }
  }

  async #compareVersions(): Promise<void> {
    for (const [version, expected] of Object.entries(this.#entry.versions)) {
      if (expected.unreadable === true) {
        const error = await this.#failureOf(async () => {
          await this.#read(await this.#open(Number(version)))
        })
        if (error === null) this.disagree(`version ${version}: no other reader can read it, and it was read`)
        continue
      }
      try {
        const read = await this.#read(await this.#open(Number(version)))
        this.#compare(`version ${version}: rows`, expected.rows, read.rows)
        // Where the files of an earlier version are gone, there is nothing to compare.
        if (expected.hash !== undefined) this.#compare(`version ${version}: hash`, expected.hash, read.hash)
      } catch (error) {
        this.disagree(`version ${version}: ${failureText(error)}`)
      }
    }
  }

  #compare(what: string, expected: unknown, read: unknown): void {
    if (expected === undefined || expected === read) return
    this.disagree(`${what}: expected ${String(expected)}, read ${String(read)}`)
  }

  async #open(version?: number): Promise<Snapshot> {
    const snapshot = await loadSnapshot(this.#store, {
      signal: this.#signal,
      ...(version === undefined ? {} : { version }),
    })
    if (snapshot !== null) return snapshot
    throw new DeltaLakeError('DELTA_TABLE_NOT_FOUND', `there is no Delta table at \`${this.#store.uri}\``)
  }

  async #read(snapshot: Snapshot): Promise<ReadVersion> {
    const { schema } = snapshot.state
    const content = new ContentHash(schema)
    const figures = schema.fields.map(field => ({ name: field.name, of: new ColumnFigures(field.type) }))
    const openForeign = (uri: string): ObjectStore => openStore(uri)
    for await (const rows of scanTable(snapshot, { signal: this.#signal, openForeign })) {
      for (const row of rows) {
        content.add(row)
        for (const { name, of } of figures) of.add(row[name])
      }
    }
    return {
      rows: content.rowCount,
      hash: content.hex(),
      columns: new Map(figures.map(({ name, of }) => [name, of.figures()])),
    }
  }

  /** The error of reading; null where it succeeds. What is no error of the library is a bug and passes through. */
  async #failureOf(read: () => Promise<unknown>): Promise<DeltaLakeError | null> {
    try {
      await read()
      return null
    } catch (error) {
      if (error instanceof DeltaLakeError) return error
      throw error
    }
  }

  /** A table that is refused for a feature is refused by its name. */
  #checkRefusal(error: DeltaLakeError): void {
    const unknown = this.#entry.readerFeatures.filter(feature => !SCAN_READER_FEATURES.has(feature))
    if (unknown.length === 0 || unknown.every(feature => error.message.includes(feature))) return
    this.disagree(`the refusal does not name \`${unknown.join('`, `')}\`: ${error.message}`)
  }

  #isFeatureRefusal(error: unknown): error is DeltaLakeError {
    return (
      error instanceof DeltaLakeError &&
      error.code === 'DELTA_PROTOCOL_UNSUPPORTED' &&
      this.#entry.readerFeatures.some(feature => error.message.includes(feature.replace(/-preview$/, '')))
    )
  }
}

/** All of a state that does not depend on how it was loaded. */
function stateText({
  version,
  protocol,
  metadata,
  txns,
  domainMetadata,
  inCommitTimestampMs,
}: TableState): string {
  const byKey = <V>(map: ReadonlyMap<string, V>): [string, V][] =>
    [...map].sort(([a], [b]) => (a < b ? -1 : 1))
  return formatJson({
    version,
    protocol,
    metadata,
    inCommitTimestampMs,
    txns: byKey(txns),
    domains: byKey(domainMetadata),
  })
}

function failureText(error: unknown): string {
  if (error instanceof DeltaLakeError) return `${error.code}: ${error.message}`
  return `a bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
}
