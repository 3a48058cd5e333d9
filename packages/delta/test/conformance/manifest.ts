/**
 * Manifests of conformance tables: JSON lines, one a table, each with what independent readers made of it.
 *
 *     path       the table's folder, relative to the manifest
 *     verdict    read      rows, hash, schema, figures, files, version and txns are as in `expect`
 *                reject    opening or reading must fail
 *                log-only  the snapshot opens as in `expect`; reading rows must fail
 *                single, disputed    what one engine, or not all of them, say: reported, never a failure
 *     protocol   { readerFeatures }, for the names that a refusal must give
 *     expect     { rows, hash, schema, columns, files, version, txn }, or { reject } with why
 *     versions   earlier versions by number: { rows, hash }, or { unreadable } where the files are gone
 *
 * Fields beyond these are ignored.
 *
 * @module
 */
import { createReadStream } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { isJsonObject, parseJson } from '../../src/json.ts'

export const VERDICTS = ['read', 'reject', 'log-only', 'single', 'disputed'] as const
export type Verdict = (typeof VERDICTS)[number]

/** Figures over the values of one column, as text; null where there are none. */
export interface ColumnExpectation {
  readonly type: string
  readonly nulls: number
  readonly sum: string | null
  readonly min: string | null
  readonly max: string | null
}

export interface TableExpectation {
  readonly rows?: number
  readonly hash?: string
  /** Names and types in order. */
  readonly schema?: readonly (readonly [name: string, type: string])[]
  readonly columns?: Readonly<Record<string, ColumnExpectation>>
  readonly files?: number
  readonly version?: number
  /** Versions use all 64 bits. */
  readonly txn?: Readonly<Record<string, number | bigint>>
  readonly reject?: string
}

export interface VersionExpectation {
  readonly rows?: number
  readonly hash?: string
  readonly unreadable?: boolean
}

export interface ManifestEntry {
  /** As the manifest has it. */
  readonly path: string
  /** Where the table is. */
  readonly folder: string
  readonly verdict: Verdict
  readonly readerFeatures: readonly string[]
  readonly expect: TableExpectation
  readonly versions: Readonly<Record<string, VersionExpectation>>
  readonly note: string | null
}

/**
 * Reads a manifest line by line.
 *
 * @throws Error naming the file and the line that is no entry
 */
export async function* readManifest(path: string): AsyncGenerator<ManifestEntry> {
  const input = createReadStream(path, 'utf8')
  let number = 0
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    number++
    if (line.trim() !== '') yield toEntry(line, dirname(path), `${path}:${number}`)
  }
}

function toEntry(line: string, folder: string, place: string): ManifestEntry {
  const json = parseJson(line)
  if (!isJsonObject(json)) throw new Error(`${place}: is not a JSON object`)
  const { path, verdict, protocol, expect, versions, note } = json
  if (typeof path !== 'string') throw new Error(`${place}: has no \`path\``)
  if (!VERDICTS.includes(verdict as Verdict)) {
    throw new Error(
      `${place}: has the verdict \`${String(verdict)}\`, which is none of ${VERDICTS.join(', ')}`,
    )
  }
  if (!isJsonObject(expect)) throw new Error(`${place}: has no \`expect\``)
  const features = isJsonObject(protocol) ? protocol.readerFeatures : undefined
  return {
    path,
    folder: join(folder, path),
    verdict: verdict as Verdict,
    readerFeatures: Array.isArray(features) ? (features as string[]) : [],
    expect: expect as TableExpectation,
    versions: isJsonObject(versions) ? (versions as Record<string, VersionExpectation>) : {},
    note: typeof note === 'string' ? note : null,
  }
}
