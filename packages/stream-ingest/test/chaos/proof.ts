/**
 * Proof from the table alone that every message is there exactly once, by our own reading and by delta-rs and DuckDB.
 *
 * @module
 */
import { loadSnapshot, type ObjectStore, readCommit, type Snapshot, scanTable } from '@stream-ingest/delta'
import { readTable, type S3Access } from '../../../../scripts/stack/readers.ts'
import { COLUMNS, type Ledger, rowOf } from './ledger.ts'

/** Problems of one kind that are told one by one. */
const TOLD_MAX = 5
/** Checkpoints read back, the newest first. */
const CHECKPOINTS_READ_MAX = 20

export interface ProofInput {
  /** Rooted at the table, without faults. */
  readonly table: ObjectStore
  readonly ledger: Ledger
  /** As Kafka tells them. */
  readonly endOffsets: readonly bigint[]
  /** For the independent readers. */
  readonly python: string
  readonly uri: string
  readonly s3?: S3Access
}

export interface Proof {
  /** Empty where it holds. */
  readonly problems: readonly string[]
  readonly version: number
  readonly rowCount: number
  readonly fileCount: number
  readonly checkpointCount: number
  /** Data files that no commit names, as killed processes leave them. */
  readonly orphanCount: number
}

/** What the commits say, one after the other. */
interface LogHistory {
  readonly version: number
  readonly filesAt: (version: number) => ReadonlySet<string>
  readonly sizes: ReadonlyMap<string, number>
  readonly txnsAt: ReadonlyMap<number, ReadonlyMap<string, bigint>>
  readonly checksumVersions: readonly number[]
  readonly checkpointVersions: readonly number[]
}

export async function proveExactlyOnce(input: ProofInput): Promise<Proof> {
  const problems = new Problems()
  const snapshot = await loadSnapshot(input.table)
  if (snapshot === null) throw new Error(`there is no table at ${input.uri}`)
  const history = await readHistory(input.table, problems)
  if (snapshot.version !== history.version)
    problems.add(`the snapshot is at version ${snapshot.version}, the log at ${history.version}`)
  await checkUpkeep(input.table, history, problems)
  const orphanCount = await checkFiles(input.table, snapshot, history, problems)
  const rowCount = await checkRows(snapshot, input.ledger, problems)
  checkTxns(snapshot, input.endOffsets, problems)
  await checkOtherReaders(input, snapshot, problems)
  return {
    problems: problems.told(),
    version: snapshot.version,
    rowCount,
    fileCount: history.filesAt(history.version).size,
    checkpointCount: history.checkpointVersions.length,
    orphanCount,
  }
}

/** Keeps the number of a flood of problems, and its beginning. */
class Problems {
  readonly #byKind = new Map<string, string[]>()

  add(text: string, kind = text): void {
    const known = this.#byKind.get(kind)
    if (known === undefined) this.#byKind.set(kind, [text])
    else known.push(text)
  }

  told(): string[] {
    return [...this.#byKind].flatMap(([kind, texts]) => {
      const more = texts.length - TOLD_MAX
      return [...texts.slice(0, TOLD_MAX), ...(more > 0 ? [`${kind}: ${more} more`] : [])]
    })
  }
}

/** Reads all commits: none may be missing, and no partition's progress may stand still or go back in one. */
async function readHistory(table: ObjectStore, problems: Problems): Promise<LogHistory> {
  const versions: number[] = []
  const checksumVersions: number[] = []
  const checkpointVersions: number[] = []
  for await (const { key } of table.list('_delta_log/')) {
    const [, digits, kind] = /^_delta_log\/(\d{20})\.(json|crc|checkpoint\.parquet)$/.exec(key) ?? []
    if (kind === 'json') versions.push(Number(digits))
    if (kind === 'crc') checksumVersions.push(Number(digits))
    if (kind === 'checkpoint.parquet') checkpointVersions.push(Number(digits))
  }
  const addedAt: [path: string, version: number][] = []
  const sizes = new Map<string, number>()
  const txnsAt = new Map<number, ReadonlyMap<string, bigint>>()
  let txns = new Map<string, bigint>()
  for (const [index, version] of versions.entries()) {
    if (version !== index) {
      problems.add(`the log goes from version ${index - 1} to ${version}`)
      break
    }
    txns = new Map(txns)
    for (const action of (await readCommit(table, version)) ?? []) {
      if ('remove' in action) problems.add(`version ${version} removes a file, which nobody asked for`)
      if ('add' in action) {
        if (sizes.has(action.add.path)) problems.add(`version ${version} adds ${action.add.path} again`)
        sizes.set(action.add.path, action.add.size)
        addedAt.push([action.add.path, version])
      }
      if ('txn' in action) {
        const { appId, version: nextOffset } = action.txn
        const before = txns.get(appId)
        if (before !== undefined && nextOffset <= before)
          problems.add(
            `version ${version} moves ${appId} from ${before} to ${nextOffset}`,
            'progress goes back',
          )
        txns.set(appId, nextOffset)
      }
    }
    txnsAt.set(version, txns)
  }
  return {
    version: versions.length - 1,
    filesAt: version => new Set(addedAt.filter(([, added]) => added <= version).map(([path]) => path)),
    sizes,
    txnsAt,
    checksumVersions,
    checkpointVersions,
  }
}

/** Checksums and checkpoints say what the commits say. */
async function checkUpkeep(table: ObjectStore, history: LogHistory, problems: Problems): Promise<void> {
  for (const version of history.checksumVersions) {
    const key = `_delta_log/${String(version).padStart(20, '0')}.crc`
    const checksum = JSON.parse(Buffer.from((await table.get(key)) as Uint8Array).toString()) as {
      readonly numFiles: number
      readonly tableSizeBytes: number
      readonly setTransactions: readonly { readonly appId: string; readonly version: number }[]
    }
    const files = [...history.filesAt(version)]
    const sizeBytes = files.reduce((sum, path) => sum + (history.sizes.get(path) ?? 0), 0)
    const txns = history.txnsAt.get(version)
    if (checksum.numFiles !== files.length || checksum.tableSizeBytes !== sizeBytes)
      problems.add(`${key} has other totals than the commits`, 'checksums differ')
    const isSame =
      checksum.setTransactions.length === txns?.size &&
      checksum.setTransactions.every(txn => txns.get(txn.appId) === BigInt(txn.version))
    if (!isSame) problems.add(`${key} has other offsets than the commits`, 'checksums differ')
  }
  for (const version of history.checkpointVersions.slice(-CHECKPOINTS_READ_MAX)) {
    const snapshot = await loadSnapshot(table, { version })
    const files = new Set((await snapshot?.allFiles())?.map(add => add.path))
    if (!isSameSet(files, history.filesAt(version)))
      problems.add(
        `the checkpoint of version ${version} has other files than the commits`,
        'checkpoints differ',
      )
    const txns = [...(snapshot?.state.txns ?? [])].map(([appId, txn]) => `${appId}=${txn.version}`)
    const expected = [...(history.txnsAt.get(version) ?? [])].map(([appId, offset]) => `${appId}=${offset}`)
    if (!isSameSet(new Set(txns), new Set(expected)))
      problems.add(
        `the checkpoint of version ${version} has other offsets than the commits`,
        'checkpoints differ',
      )
  }
}

function isSameSet(left: ReadonlySet<string>, right: ReadonlySet<string>): boolean {
  return left.size === right.size && [...left].every(item => right.has(item))
}

/** Every live file is there in its size. Returns how many others are. */
async function checkFiles(
  table: ObjectStore,
  snapshot: Snapshot,
  history: LogHistory,
  problems: Problems,
): Promise<number> {
  const stored = new Map<string, number>()
  for await (const { key, sizeBytes } of table.list('')) {
    if (key.endsWith('.parquet') && !key.startsWith('_delta_log/')) stored.set(key, sizeBytes)
  }
  const live = new Set<string>()
  for await (const { path, size } of snapshot.files()) {
    const key = decodeURIComponent(path)
    live.add(path)
    if (stored.get(key) !== size) problems.add(`${key} has ${stored.get(key)} bytes, not ${size}`, 'files')
    stored.delete(key)
  }
  if (!isSameSet(live, history.filesAt(history.version)))
    problems.add('the snapshot has other files than the commits')
  return stored.size
}

async function checkRows(snapshot: Snapshot, ledger: Ledger, problems: Problems): Promise<number> {
  const missing = ledger.partitions.map(offsets => new Map(offsets))
  let rowCount = 0
  for await (const rows of scanTable(snapshot, { columns: COLUMNS })) {
    for (const row of rows) {
      rowCount++
      const partition = row._kafka_partition as number
      const offset = row._kafka_offset as bigint
      const place = `${partition}@${offset}`
      const number = missing[partition]?.get(Number(offset))
      if (number === undefined) {
        const isKnown = ledger.partitions[partition]?.has(Number(offset)) === true
        problems.add(
          `${place} is ${isKnown ? 'there twice' : 'there and must not be'}`,
          isKnown ? 'duplicates' : 'intruders',
        )
        continue
      }
      missing[partition]?.delete(Number(offset))
      const expected = rowOf(number)
      const isRight =
        row.id === expected.id &&
        row.kind === expected.kind &&
        row.at === BigInt(expected.atMs) * 1000n &&
        row.day === expected.day
      if (!isRight) problems.add(`${place} has other values than its message`, 'values')
    }
  }
  for (const [partition, offsets] of missing.entries()) {
    for (const offset of offsets.keys()) problems.add(`${partition}@${offset} is missing`, 'missing')
  }
  return rowCount
}

function checkTxns(snapshot: Snapshot, endOffsets: readonly bigint[], problems: Problems): void {
  const { txns } = snapshot.state
  if (txns.size !== endOffsets.length)
    problems.add(`the table holds ${txns.size} offsets of ${endOffsets.length} partitions`)
  for (const [appId, { version }] of txns) {
    const end = endOffsets[Number(appId.slice(appId.lastIndexOf(':') + 1))]
    if (version !== end) problems.add(`the table is at ${version} of ${appId}, which ends at ${end}`, 'ends')
  }
}

async function checkOtherReaders(input: ProofInput, snapshot: Snapshot, problems: Problems): Promise<void> {
  const { ledger, python, uri, s3 } = input
  const appIds = [...snapshot.state.txns.keys()]
  const readings = await readTable({ python, uri, appIds, contentHash: true, ...(s3 && { s3 }) })
  const expectedHash = ledger.contentHash()
  for (const { engine, rowCount, columns, contentHash, txns } of readings) {
    if (rowCount !== ledger.rowCount) problems.add(`${engine} reads ${rowCount} rows of ${ledger.rowCount}`)
    if (columns.id?.sum !== String(ledger.idSum))
      problems.add(`${engine} adds the ids up to ${columns.id?.sum}, not ${ledger.idSum}`)
    if (contentHash !== expectedHash)
      problems.add(`${engine} reads other rows than those that were sent (their hash is ${contentHash})`)
    for (const [appId, offset] of Object.entries(txns)) {
      const expected = snapshot.state.txns.get(appId)?.version
      if (offset === null || BigInt(offset) !== expected)
        problems.add(`${engine} finds ${appId} at ${offset}, not ${expected}`)
    }
  }
}
