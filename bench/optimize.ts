/**
 * `node --conditions=source bench/optimize.ts [--files 64] [--rows 50000] [--runs 3]`: compaction of many files of a table into
 * few, against DuckDB writing the same files as one, in the same run, with the same codec. Each in a process of its own:
 * wall time, CPU time, peak memory, megabytes of input per second of CPU. Row groups of 8 MiB and more are copied
 * (`--files 8 --rows 400000`), smaller ones are decoded.
 *
 * DuckDB runs with one thread, as this does. `SI_TEST_PYTHON` names a Python with DuckDB (`npm run stack -- up` says which);
 * without it only our own figures are taken.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { appendFields, BatchBuilder } from '../packages/delta/src/column/index.ts'
import {
  type Add,
  createParquetEncoder,
  DeltaTable,
  encodeDataFile,
  field,
  LocalObjectStore,
  optimizeTable,
  primitive,
  struct,
  systemRuntime,
  uploadDataFile,
} from '../packages/delta/src/index.ts'

const SCHEMA = struct([
  field('event_id', primitive('string'), false),
  field('user_id', primitive('long'), false),
  field('event_type', primitive('string'), false),
  field('occurred_at', primitive('timestamp'), false),
  field('amount', primitive('double')),
  field('country', primitive('string')),
  field('is_mobile', primitive('boolean')),
  field('_kafka_offset', primitive('long'), false),
])

interface Figures {
  readonly ms: number
  readonly cpuMs: number
  readonly peakMb: number
}

async function makeTable(folder: string, fileCount: number, rowsPerFile: number): Promise<number> {
  const store = new LocalObjectStore(folder)
  const { table } = await DeltaTable.openOrCreate(store, {
    schema: SCHEMA,
    partitionColumns: [],
    properties: {},
  })
  const encoder = createParquetEncoder()
  const adds: Add[] = []
  let n = 0
  for (let file = 0; file < fileCount; file++) {
    const batch = new BatchBuilder(SCHEMA)
    for (let i = 0; i < rowsPerFile; i++, n++) {
      appendFields(SCHEMA.fields, batch.columns, {
        event_id: `e-${(n * 2_654_435_761) % 4_294_967_296}-${n}`,
        user_id: BigInt((n * 7919) % 100_000),
        event_type: ['click', 'view', 'purchase', 'scroll'][n % 4],
        occurred_at: 1_767_225_600_000_000n + BigInt(n) * 1_003n,
        amount: n % 10 === 0 ? null : (n % 10_007) / 100,
        country: ['DE', 'FR', 'US', 'JP', 'BR'][(n * 31) % 5],
        is_mobile: n % 3 === 0,
        _kafka_offset: BigInt(n),
      })
      batch.endRow()
    }
    const encoded = encodeDataFile(
      table.state,
      encoder,
      batch.finish(),
      {},
      { codec: 'snappy' },
      systemRuntime,
    )
    adds.push(await uploadDataFile(store, encoded, systemRuntime))
  }
  await table.append({ adds, rowCounts: adds.map(() => rowsPerFile), txns: [] })
  return adds.reduce((total, { size }) => total + size, 0)
}

async function child(command: string, args: readonly string[]): Promise<Figures> {
  const startedMs = performance.now()
  const process_ = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const parts: Buffer[] = []
  process_.stdout.on('data', part => parts.push(part))
  const [code] = await once(process_, 'close')
  if (code !== 0) throw new Error(`${command} ended with ${code}`)
  const { cpuMs, peakMb } = JSON.parse(Buffer.concat(parts).toString('utf8'))
  return { ms: performance.now() - startedMs, cpuMs, peakMb }
}

const DUCKDB = `
import duckdb, json, resource, sys
c = duckdb.connect(config={'threads': 1})
c.execute('SET enable_progress_bar = false')
c.execute(f"COPY (SELECT * FROM read_parquet('{sys.argv[1]}/*.parquet')) TO '{sys.argv[1]}/out.parquet' (FORMAT parquet, COMPRESSION snappy)")
u = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({'cpuMs': (u.ru_utime + u.ru_stime) * 1000, 'peakMb': u.ru_maxrss / 1024}))
`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      files: { type: 'string', default: '64' },
      rows: { type: 'string', default: '50000' },
      runs: { type: 'string', default: '3' },
      optimize: { type: 'string' },
    },
  })
  if (values.optimize !== undefined) {
    const { filesAdded, rowsRewritten } = await optimizeTable(new LocalObjectStore(values.optimize), {
      targetFileSizeBytes: 1 << 30,
    })
    if (filesAdded === 0 || rowsRewritten === 0) throw new Error('nothing was compacted')
    const { user, system } = process.cpuUsage()
    const peakMb = process.resourceUsage().maxRSS / 1024
    process.stdout.write(JSON.stringify({ cpuMs: (user + system) / 1000, peakMb }))
    return
  }
  const parent = await mkdtemp(join(tmpdir(), 'bench-optimize-'))
  try {
    const source = join(parent, 'table')
    const sizeBytes = await makeTable(source, Number(values.files), Number(values.rows))
    print(
      `${values.files} files of ${values.rows} rows, ${(sizeBytes / 1e6).toFixed(1)} MB of Parquet, snappy`,
    )
    const python = process.env.SI_TEST_PYTHON
    for (let run = 1; run <= Number(values.runs); run++) {
      const ours = join(parent, `ours-${run}`)
      await cp(source, ours, { recursive: true })
      const self = fileURLToPath(import.meta.url)
      report(
        'stream-ingest',
        await child(process.execPath, ['--conditions=source', self, '--optimize', ours]),
        sizeBytes,
      )
      await rm(ours, { recursive: true })
      if (python === undefined) continue
      const theirs = join(parent, `theirs-${run}`)
      await cp(source, theirs, { recursive: true })
      report('DuckDB', await child(python, ['-c', DUCKDB, theirs]), sizeBytes)
      await rm(theirs, { recursive: true })
    }
    print(`${(await readdir(source)).length - 1} files in the table that was copied`)
  } finally {
    await rm(parent, { recursive: true, force: true })
  }
}

function report(name: string, { ms, cpuMs, peakMb }: Figures, sizeBytes: number): void {
  const perCpuSecond = sizeBytes / 1e6 / (cpuMs / 1000)
  print(
    `${name.padEnd(14)} ${(ms / 1000).toFixed(2)} s   CPU ${(cpuMs / 1000).toFixed(2)} s   ${perCpuSecond.toFixed(1)} MB per CPU second   peak ${Math.round(peakMb)} MB`,
  )
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

await main()
