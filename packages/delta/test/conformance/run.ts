/**
 * `npm run test:conformance -- MANIFEST…`: reads the tables of manifests and compares with what independent readers made
 * of them. One line a disagreement, then the totals. Without an argument: the tables of this repository.
 *
 * @module
 */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compareTable } from './compare-table.ts'
import { type ManifestEntry, readManifest } from './manifest.ts'

const OWN_TABLES = fileURLToPath(new URL('../golden/manifest.jsonl', import.meta.url))
const EXIT_FAILED = 1
const EXIT_USAGE = 64
/** What one engine alone says, or engines say differently, does not decide. */
const NOT_GATING: ReadonlySet<string> = new Set(['single', 'disputed'])

interface Totals {
  passed: number
  failed: number
  refused: number
  notGating: number
}

async function compareAll(manifest: string, totals: Totals): Promise<void> {
  for await (const entry of readManifest(manifest)) {
    const { disagreements, refusal } = await compareTable(entry)
    if (NOT_GATING.has(entry.verdict)) {
      totals.notGating++
      reportOpen(entry, disagreements, refusal)
      continue
    }
    if (refusal !== null) {
      totals.refused++
      print(`– ${entry.path}  refused: ${refusal}`)
    }
    if (disagreements.length === 0) totals.passed++
    else totals.failed++
    for (const text of disagreements) print(`✗ ${entry.path}  ${text}`)
  }
}

function reportOpen(entry: ManifestEntry, disagreements: readonly string[], refusal: string | null): void {
  if (refusal !== null) print(`? ${entry.path}  ${entry.verdict}; refused: ${refusal}`)
  else if (disagreements.length === 0) print(`? ${entry.path}  ${entry.verdict}; as its line has it`)
  for (const text of disagreements) print(`? ${entry.path}  ${entry.verdict}; ${text}`)
}

/** One line, however many a message has. */
function print(line: string): void {
  process.stdout.write(`${line.replaceAll('\n', ' ⏎ ')}\n`)
}

async function main(args: readonly string[]): Promise<number> {
  if (args.some(arg => arg.startsWith('-'))) {
    process.stderr.write('usage: npm run test:conformance -- [MANIFEST…]\n')
    return EXIT_USAGE
  }
  const totals: Totals = { passed: 0, failed: 0, refused: 0, notGating: 0 }
  for (const manifest of args.length === 0 ? [OWN_TABLES] : args) {
    try {
      await compareAll(resolve(manifest), totals)
    } catch (error) {
      process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`)
      return EXIT_USAGE
    }
  }
  const { passed, failed, refused, notGating } = totals
  print(`${passed} passed, ${failed} failed`)
  print(
    `of the passed, ${refused} are refused for a feature that is not implemented; ${notGating} more do not gate`,
  )
  return failed > 0 || passed === 0 ? EXIT_FAILED : 0
}

process.exitCode = await main(process.argv.slice(2))
