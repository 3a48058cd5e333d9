/**
 * Tests of a configuration: records through the decoder and the columns of a run, without Kafka, store or network.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Runtime } from '@stream-ingest/delta'
import type { ConfigTest, TestRecord, WrittenMap } from '../config/config-test.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import type { TableLayout } from '../config/table-layout.ts'
import { StreamIngestError } from '../error.ts'
import { chunkOfRecords } from '../kafka/message-chunk.ts'
import type { SourceChunk } from '../kafka/message-source.ts'
import { NamedPartitions } from '../kafka/named-partitions.ts'
import { RowComparison, type ValueDifference } from './expected-row.ts'
import { type DecodedMessage, MessageDecoder } from './message-decoder.ts'

export type BadKey = 'code' | 'column' | 'message'

/** One way in which what came is not what is expected. */
export type Difference =
  | ValueDifference
  /** Fewer rows than expected. */
  | { readonly kind: 'missing_row'; readonly row: number; readonly written: WrittenMap }
  /** More rows than expected. */
  | { readonly kind: 'extra_row'; readonly row: number }
  /** A record that does not fit; null where there is none, or where none is expected. `index` is among such records. */
  | {
      readonly kind: 'bad'
      readonly index: number
      readonly key: BadKey | null
      readonly expected: string | null
      readonly actual: string | null
    }
  /** Another number of tombstones is left out. */
  | { readonly kind: 'skipped'; readonly expected: number; readonly actual: number }

/** What became of the records of a test. */
export interface TestOutcome {
  readonly layout: TableLayout
  /** In the order of the records. */
  readonly rows: readonly DecodedMessage[]
  readonly bad: readonly DecodedMessage[]
  readonly skipped: number
}

export interface ConfigTestResult {
  readonly test: ConfigTest
  readonly ok: boolean
  readonly differences: readonly Difference[]
  /** Null where `error` says why there is none. */
  readonly outcome: TestOutcome | null
  readonly error: StreamIngestError | null
}

/** Runs the tests of one configuration. */
export class ConfigTestRunner {
  private readonly pipelines: ReadonlyMap<string, PipelineConfig>
  private readonly runtime: Pick<Runtime, 'now'>
  /** Made once for a pipeline whose columns stay: to lay out a wide table takes longer than to decode a record. */
  private readonly decoders = new Map<string, MessageDecoder>()

  constructor(pipelines: readonly PipelineConfig[], runtime: Pick<Runtime, 'now'>) {
    this.pipelines = new Map(pipelines.map(pipeline => [pipeline.name, pipeline]))
    this.runtime = runtime
  }

  /** Throws nothing but bugs: what the pipeline refuses is the result's `error`. */
  run(test: ConfigTest): ConfigTestResult {
    try {
      const outcome = this.decode(test)
      const differences = differencesOf(test, outcome)
      return { test, ok: differences.length === 0, differences, outcome, error: null }
    } catch (error) {
      this.decoders.delete(test.pipeline)
      if (!(error instanceof StreamIngestError)) throw error
      return { test, ok: false, differences: [], outcome: null, error }
    }
  }

  private decode({ pipeline: name, records }: ConfigTest): TestOutcome {
    const pipeline = this.pipelines.get(name)
    assert(pipeline !== undefined, 'a test is of a pipeline of its configuration')
    const decoder = this.decoders.get(name) ?? new MessageDecoder(pipeline, null, this.runtime)
    // What one test brings must not be there for the next.
    if (!pipeline.delta.mergeSchema) this.decoders.set(name, decoder)
    const messages = chunksOf(records).flatMap(chunk => decoder.decode(chunk, records.length))
    return {
      layout: decoder.layout,
      rows: messages.filter(({ outcome }) => outcome === 'row'),
      bad: messages.filter(({ outcome }) => outcome === 'bad'),
      skipped: messages.filter(({ outcome }) => outcome === 'skipped').length,
    }
  }
}

/** The records as Kafka would hand them out: in their order, a chunk for each run of ascending offsets. */
function chunksOf(records: readonly TestRecord[]): SourceChunk[] {
  const runs: TestRecord[][] = []
  for (const record of records) {
    const run = runs.at(-1)
    if (run !== undefined && continues(run.at(-1)!, record)) run.push(record)
    else runs.push([record])
  }
  const partitions = new NamedPartitions()
  return runs.map(run => {
    const { topic, partition } = run[0]!
    return chunkOfRecords(partitions.of(topic, partition), run, record => record)
  })
}

function continues(last: TestRecord, { topic, partition, offset }: TestRecord): boolean {
  return last.topic === topic && last.partition === partition && last.offset < offset
}

function differencesOf({ expected }: ConfigTest, outcome: TestOutcome): Difference[] {
  const skipped = expected.skipped?.value ?? 0
  return [
    ...rowDifferences(expected.rows?.value ?? [], outcome),
    ...badDifferences(expected.bad?.value ?? [], outcome.bad),
    ...(skipped === outcome.skipped
      ? []
      : [{ kind: 'skipped' as const, expected: skipped, actual: outcome.skipped }]),
  ]
}

function rowDifferences(expected: readonly WrittenMap[], { layout, rows }: TestOutcome): Difference[] {
  const found: Difference[] = []
  // Rows that came together have their schema in common.
  let comparison: RowComparison | null = null
  let schema: DecodedMessage['schema'] = null
  for (const [row, written] of expected.entries()) {
    const actual = rows[row]
    if (actual === undefined) {
      found.push({ kind: 'missing_row', row, written })
      continue
    }
    if (comparison === null || actual.schema !== schema) {
      schema = actual.schema
      comparison = new RowComparison(layout, actual.schema!)
    }
    found.push(...comparison.differences(written, actual.row!, row))
  }
  for (let row = expected.length; row < rows.length; row++) found.push({ kind: 'extra_row', row })
  return found
}

function badDifferences(
  expected: readonly Readonly<Partial<Record<BadKey, string | undefined>>>[],
  bad: readonly DecodedMessage[],
): Difference[] {
  const found: Difference[] = []
  for (let index = 0; index < Math.max(expected.length, bad.length); index++) {
    const wanted = expected[index]
    const reason = bad[index]?.reason ?? null
    if (wanted === undefined || reason === null) {
      found.push({
        kind: 'bad',
        index,
        key: null,
        expected: wanted === undefined ? null : describeBad(wanted),
        actual: reason === null ? null : describeBad(reason),
      })
      continue
    }
    for (const key of ['code', 'column', 'message'] as const) {
      const word = wanted[key]
      const actual = reason[key]
      const fits = key === 'message' ? reason.message.includes(word ?? '') : actual === word
      if (word !== undefined && !fits) found.push({ kind: 'bad', index, key, expected: word, actual })
    }
  }
  return found
}

function describeBad(bad: Readonly<Partial<Record<BadKey, string | null | undefined>>>): string {
  const words = [bad.code, bad.column, bad.message].filter(word => word !== undefined && word !== null)
  return words.length === 0 ? 'a record that does not fit' : words.join(': ')
}
