/**
 * `node --conditions=source bench/checkpoint.ts [--files 1000,100000] [--million] [--v2] [--folder DIR]`: what a table's
 * size costs: opening it for an append, listing its files, and writing a checkpoint, in requests, time and memory.
 *
 * The table lies in a local folder and has a checkpoint and ten commits after it. Each figure comes from a process of its
 * own, so that peak memory is that of one operation; a process that does nothing says what Node itself takes.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  createParquetEncoder,
  DeltaTable,
  field,
  LocalObjectStore,
  loadSnapshot,
  type ObjectBody,
  type ObjectStore,
  primitive,
  struct,
  systemRuntime,
  writeCheckpoint,
} from '../packages/delta/src/index.ts'

const SCHEMA = struct([
  field('id', primitive('long')),
  field('name', primitive('string')),
  field('occurred_at', primitive('timestamp')),
  field('amount', primitive('double')),
  field('_kafka_offset', primitive('long')),
  field('day', primitive('date')),
])
const FILES_PER_COMMIT = 10_000
const COMMITS_AFTER = 10
const SMALL_COMMIT_FILES = 4

type Operation = 'idle' | 'create' | 'open' | 'open-without-checksum' | 'list' | 'checkpoint'

interface Figures {
  readonly requests: number
  readonly readBytes: number
  readonly writtenBytes: number
  readonly ms: number
  readonly cpuMs: number
  readonly peakMb: number
  readonly files: number
}

/** Counts what goes through a store. */
class Meter {
  requests = 0
  readBytes = 0
  writtenBytes = 0

  #weighed(body: ObjectBody): ObjectBody {
    if (body instanceof Uint8Array) {
      this.writtenBytes += body.length
      return body
    }
    const count = (piece: Uint8Array): void => {
      this.writtenBytes += piece.length
    }
    return (async function* () {
      for await (const piece of body) {
        count(piece)
        yield piece
      }
    })()
  }

  wrap(store: ObjectStore): ObjectStore {
    return {
      uri: store.uri,
      get: async (key, options) => {
        this.requests++
        const bytes = await store.get(key, options)
        this.readBytes += bytes?.length ?? 0
        return bytes
      },
      head: (key, options) => this.#counted(store.head(key, options)),
      put: (key, body, options) => {
        this.writtenBytes += body.length
        return this.#counted(store.put(key, body, options))
      },
      putIfAbsent: (key, body, options) =>
        this.#counted(store.putIfAbsent(key, this.#weighed(body), options)),
      list: (prefix, options) => {
        this.requests++
        return store.list(prefix, options)
      },
      delete: (keys, options) => this.#counted(store.delete(keys, options)),
      at: prefix => this.wrap(store.at(prefix)),
      close: () => store.close(),
    }
  }

  #counted<T>(answer: Promise<T>): Promise<T> {
    this.requests++
    return answer
  }
}

async function perform(
  operation: Operation,
  folder: string,
  fileCount: number,
  isV2: boolean,
): Promise<Figures> {
  const meter = new Meter()
  const store = meter.wrap(new LocalObjectStore(folder))
  const startedMs = performance.now()
  const cpuBefore = process.cpuUsage()
  const files = await work(operation, store, fileCount, isV2)
  const { user, system } = process.cpuUsage(cpuBefore)
  return {
    requests: meter.requests,
    readBytes: meter.readBytes,
    writtenBytes: meter.writtenBytes,
    ms: performance.now() - startedMs,
    cpuMs: (user + system) / 1000,
    peakMb: process.resourceUsage().maxRSS / 1024,
    files,
  }
}

async function work(
  operation: Operation,
  store: ObjectStore,
  fileCount: number,
  isV2: boolean,
): Promise<number> {
  switch (operation) {
    case 'idle':
      return 0
    case 'create':
      await createTable(store, fileCount, isV2)
      return fileCount
    case 'open':
    case 'open-without-checksum':
      await DeltaTable.open(operation === 'open' ? store : withoutChecksums(store))
      return 0
    case 'list': {
      let files = 0
      for await (const batch of (await loadSnapshot(store))!.fileBatches()) files += batch.length
      return files
    }
    case 'checkpoint': {
      const table = (await DeltaTable.open(store))!
      await writeCheckpoint(store, table.state.version, createParquetEncoder(), systemRuntime)
      return table.state.fileTotals?.numFiles ?? 0
    }
  }
}

/** As if another engine had written the log, one that leaves no checksums. */
function withoutChecksums(store: ObjectStore): ObjectStore {
  return { ...store, get: async (key, options) => (key.endsWith('.crc') ? null : store.get(key, options)) }
}

async function createTable(store: ObjectStore, fileCount: number, isV2: boolean): Promise<void> {
  const properties: Record<string, string> = isV2 ? { 'delta.checkpointPolicy': 'v2' } : {}
  const { table } = await DeltaTable.openOrCreate(store, {
    schema: SCHEMA,
    partitionColumns: ['day'],
    properties,
  })
  let made = 0
  const commit = async (count: number): Promise<void> => {
    const adds = Array.from({ length: count }, () => addOf(made++))
    const txns = [{ appId: 'bench:0', version: BigInt(made), lastUpdated: Date.now() }]
    await table.append({ adds, rowCounts: adds.map(() => 100_000), txns })
    await table.upkeep()
  }
  const large = Math.max(1, fileCount - COMMITS_AFTER * SMALL_COMMIT_FILES)
  while (made < large) await commit(Math.min(FILES_PER_COMMIT, large - made))
  await writeCheckpoint(store, table.state.version, createParquetEncoder(), systemRuntime)
  for (let i = 0; i < COMMITS_AFTER; i++) await commit(SMALL_COMMIT_FILES)
}

function addOf(i: number) {
  const minValues = `{"id":${i * 1000},"name":"name ${i}","occurred_at":"2026-11-22T10:00:00.000Z","amount":${i}.5,"_kafka_offset":${i * 100_000}}`
  const maxValues = `{"id":${i * 1000 + 999},"name":"name ${i + 5}","occurred_at":"2026-11-22T10:01:00.000Z","amount":${i + 100}.25,"_kafka_offset":${(i + 1) * 100_000 - 1}}`
  const nullCount = '{"id":0,"name":3,"occurred_at":0,"amount":1,"_kafka_offset":0}'
  const day = new Date(Date.UTC(2026, 0, 1 + (i % 300))).toISOString().slice(0, 10)
  return {
    path: `day=${day}/part-00000-${randomUUID()}.zstd.parquet`,
    partitionValues: { day },
    size: 30_000_000 + i,
    modificationTime: 1_790_000_000_000 + i * 1000,
    dataChange: true,
    stats: `{"numRecords":100000,"minValues":${minValues},"maxValues":${maxValues},"nullCount":${nullCount}}`,
  }
}

async function measure(operation: Operation, folder: string, files: number, isV2: boolean): Promise<Figures> {
  const script = fileURLToPath(import.meta.url)
  const args = [
    '--conditions=source',
    script,
    '--perform',
    operation,
    '--folder',
    folder,
    '--files',
    String(files),
  ]
  const child = spawn(process.execPath, isV2 ? [...args, '--v2'] : args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', chunk => {
    text += chunk
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`the measured process ended with exit code ${code}`)
  return JSON.parse(text) as Figures
}

const HEADINGS = [
  'files',
  'operation',
  'requests',
  'read MB',
  'written MB',
  's',
  'CPU s',
  'files/CPU s',
  'peak MB',
]

function line(cells: readonly (string | number)[]): void {
  const widths = [9, 22, 9, 9, 11, 8, 8, 12, 8]
  const padded = cells.map((cell, i) =>
    i === 1 ? String(cell).padEnd(widths[i]!) : String(cell).padStart(widths[i]!),
  )
  process.stdout.write(`${padded.join(' ')}\n`)
}

async function report(fileCount: number, isV2: boolean): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-checkpoint-'))
  try {
    await measure('create', folder, fileCount, isV2)
    const operations = ['idle', 'open', 'open-without-checksum', 'list', 'checkpoint'] as const
    for (const operation of operations) {
      const f = await measure(operation, folder, fileCount, isV2)
      const rate = f.files === 0 ? '' : Math.round((f.files / f.cpuMs) * 1000)
      const mb = (bytes: number): string => (bytes / 1e6).toFixed(2)
      const seconds = (ms: number): string => (ms / 1000).toFixed(2)
      const peak = Math.round(f.peakMb)
      const cells = [
        f.requests,
        mb(f.readBytes),
        mb(f.writtenBytes),
        seconds(f.ms),
        seconds(f.cpuMs),
        rate,
        peak,
      ]
      line([fileCount, operation, ...cells])
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '1000,100000' },
    million: { type: 'boolean', default: false },
    v2: { type: 'boolean', default: false },
    perform: { type: 'string' },
    folder: { type: 'string', default: '' },
  },
})
const counts = values.files.split(',').map(Number)
if (values.perform !== undefined) {
  const figures = await perform(values.perform as Operation, values.folder, counts[0]!, values.v2)
  process.stdout.write(JSON.stringify(figures))
} else {
  if (values.million) counts.push(1_000_000)
  line(HEADINGS)
  for (const count of counts) await report(count, values.v2)
}
