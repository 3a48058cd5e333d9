/**
 * `npm run test:round-trip -- [--spark] [MANIFEST…]`: writes to copies of the tables of manifests, and lets delta-rs, DuckDB
 * and Delta Kernel read them after each step; with `--spark`, which takes minutes, Spark too. One line a disagreement, one
 * for each table that is refused, then how many tables each engine was held to. Without a manifest: the tables of this
 * repository.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  installKernelReader,
  installReaders,
  installSpark,
} from '../../../../scripts/stack/reader-installation.ts'
import { readManifest } from '../conformance/manifest.ts'
import { IndependentReaders } from './independent-readers.ts'
import { makeRoundTrip, type RoundTrip } from './round-trip.ts'

const OWN_TABLES = fileURLToPath(new URL('../golden/manifest.jsonl', import.meta.url))
const EXIT_FAILED = 1

interface Totals {
  passed: number
  failed: number
  refused: number
  readonly heldTo: Map<string, number>
  readonly excused: Map<string, number>
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { spark: { type: 'boolean' }, excused: { type: 'boolean' } },
  })
  const [python, kernel, spark] = await Promise.all([
    installReaders(),
    installKernelReader(),
    values.spark === true ? installSpark() : undefined,
  ])
  const readers = new IndependentReaders({ python, kernel, ...(spark === undefined ? {} : { spark }) })
  const totals: Totals = { passed: 0, failed: 0, refused: 0, heldTo: new Map(), excused: new Map() }
  try {
    for (const manifest of positionals.length === 0 ? [OWN_TABLES] : positionals) {
      await tripsOf(resolve(manifest), readers, totals, values.excused === true)
    }
  } finally {
    await readers.close()
  }
  for (const engine of readers.engines) {
    const held = totals.heldTo.get(engine) ?? 0
    print(
      `  ${engine} read ${held} tables after each step; ${totals.excused.get(engine) ?? 0} it did not read before`,
    )
    if (held === 0) totals.failed++
  }
  print(`  ${totals.refused} tables must not be written, by features that are named`)
  print(`${totals.passed} passed, ${totals.failed} failed`)
  return totals.failed > 0 || totals.passed === 0 ? EXIT_FAILED : 0
}

async function tripsOf(
  manifest: string,
  readers: IndependentReaders,
  totals: Totals,
  showsExcused: boolean,
): Promise<void> {
  for await (const { path, folder, verdict } of readManifest(manifest)) {
    if (verdict !== 'read') continue
    const parent = await mkdtemp(join(tmpdir(), 'round-trip-'))
    try {
      const trip = await makeRoundTrip(folder, join(parent, 'table'), readers)
      report(path, trip, totals, showsExcused)
    } finally {
      await rm(parent, { recursive: true, force: true })
    }
  }
}

function report(path: string, trip: RoundTrip, totals: Totals, showsExcused: boolean): void {
  for (const problem of trip.problems) print(`✗ ${path}  ${problem}`)
  if (trip.problems.length > 0) totals.failed++
  else totals.passed++
  if (trip.refusal !== null) {
    totals.refused++
    print(`– ${path}  refused: ${trip.refusal}`)
    return
  }
  for (const engine of trip.heldTo) totals.heldTo.set(engine, (totals.heldTo.get(engine) ?? 0) + 1)
  for (const [engine, reason] of trip.excused) {
    totals.excused.set(engine, (totals.excused.get(engine) ?? 0) + 1)
    if (showsExcused) print(`? ${path}  ${engine}, before: ${reason}`)
  }
}

/** One line, however many a message has. */
function print(line: string): void {
  process.stdout.write(`${line.replaceAll('\n', ' ⏎ ')}\n`)
}

process.exitCode = await main()
