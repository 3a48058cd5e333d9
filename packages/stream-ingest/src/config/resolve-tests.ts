/**
 * What the tests of a configuration demand of its pipelines: that there is the one they name, its topic and its columns.
 *
 * @module
 */
import type { DataType, StructType } from '@stream-ingest/delta'
import type { ConfigReader } from './config-reader.ts'
import type { ConfigTest, TestRecord, WrittenMap, WrittenValue } from './config-test.ts'
import { quoteValue, type Span } from './diagnostic.ts'
import { listWords } from './field-type.ts'
import type { PipelineConfig } from './ingest-config.ts'
import { nearestWord } from './suggestion.ts'
import { planTableLayout } from './table-layout.ts'
import type { DeclaredRecord, DeclaredTest } from './tests-section.ts'

/** The tests with what their pipelines decide put in; what does not fit is reported, and left out. */
export function resolveTests(
  tests: readonly DeclaredTest[],
  pipelines: readonly PipelineConfig[],
  reader: ConfigReader,
): readonly ConfigTest[] {
  if (tests.length === 0) return []
  const names = new Set<string>()
  const schemas = new Map(pipelines.map(({ name, delta }) => [name, columnsOf(delta)]))
  return tests.flatMap(test => {
    const pipeline = choosePipeline(test, pipelines, reader)
    if (pipeline === undefined) return []
    const identity = `${pipeline.name} ${test.name}`
    if (names.has(identity)) {
      const message = `the test ${quoteValue(test.name)} is given twice`
      reader.sink.error('CONFIG_CONFLICT', test.nameSpan, message, { help: 'give each its own name' })
    }
    names.add(identity)
    checkColumns(test, pipeline, schemas.get(pipeline.name) ?? null, reader)
    return [
      {
        name: test.name,
        pipeline: pipeline.name,
        line: reader.sink.lineAt(test.span.start),
        span: test.span,
        records: resolveRecords(test.records, pipeline, reader),
        expected: test.expected,
      },
    ]
  })
}

function choosePipeline(
  { pipeline: name, pipelineSpan, nameSpan }: DeclaredTest,
  pipelines: readonly PipelineConfig[],
  reader: ConfigReader,
): PipelineConfig | undefined {
  const [only, second] = pipelines
  if (name === null && second === undefined) return only
  const found = pipelines.find(each => each.name === name)
  if (found !== undefined) return found
  const known = pipelines.map(each => each.name)
  const near = name === null ? null : nearestWord(name, known)
  const help = near === null ? `name one: ${listWords(known.slice(0, 12))}` : `did you mean \`${near}\`?`
  const detail = { help, ...(near === null ? {} : { suggestion: near }) }
  if (name === null) {
    reader.sink.error(
      'CONFIG_MISSING_KEY',
      nameSpan,
      'missing key `pipeline` in a test: there are several',
      detail,
    )
  } else {
    const message = `there is no pipeline ${quoteValue(name)}`
    reader.sink.error('CONFIG_INVALID_VALUE', pipelineSpan, message, detail)
  }
  return undefined
}

function resolveRecords(
  records: readonly DeclaredRecord[],
  { name, kafka }: PipelineConfig,
  reader: ConfigReader,
): readonly TestRecord[] {
  const nextOffsets = new Map<string, bigint>()
  return records.map(({ topicSpan, ...record }) => {
    const topic = record.topic ?? kafka.topics[0]!
    if (!kafka.topics.includes(topic)) {
      const near = nearestWord(topic, kafka.topics)
      const message = `the pipeline \`${name}\` does not read the topic ${quoteValue(topic)}`
      reader.sink.error('CONFIG_INVALID_VALUE', topicSpan, message, {
        help: near === null ? `its topics: ${listWords(kafka.topics)}` : `did you mean \`${near}\`?`,
        ...(near === null ? {} : { suggestion: near }),
      })
    }
    const topicPartition = `${record.partition} ${topic}`
    const offset = record.offset ?? nextOffsets.get(topicPartition) ?? 0n
    nextOffsets.set(topicPartition, offset + 1n)
    return { ...record, topic, offset }
  })
}

/** The columns of the table; null where messages or the table itself bring others. */
function columnsOf(delta: PipelineConfig['delta']): StructType | null {
  return delta.schema === null || delta.mergeSchema ? null : planTableLayout(delta).layout.schema
}

/** Columns and fields that the table does not have are mistakes of the test, found before it runs. */
function checkColumns(
  { expected, nameSpan }: DeclaredTest,
  { name, delta }: PipelineConfig,
  schema: StructType | null,
  reader: ConfigReader,
): void {
  if (delta.schema === null && !delta.mergeSchema) {
    reader.sink.error(
      'CONFIG_CONFLICT',
      nameSpan,
      `the pipeline \`${name}\` declares no \`delta.schema\`: its columns are the table’s, which a test does not read`,
      { help: 'declare `delta.schema`, or remove the test' },
    )
    return
  }
  if (schema === null) return
  for (const row of expected.rows?.value ?? []) checkFields(row, schema, 'column', delta.tableName, reader)
  for (const { column, spans } of expected.bad?.value ?? []) {
    if (column !== undefined) checkName(column, spans.column, schema, 'column', delta.tableName, reader)
  }
}

function checkFields(
  { entries }: WrittenMap,
  { fields }: StructType,
  noun: 'column' | 'field',
  owner: string,
  reader: ConfigReader,
): void {
  for (const { key, keySpan, value } of entries) {
    checkName(key, keySpan, { fields }, noun, owner, reader)
    const field = fields.find(each => each.name === key)
    if (field !== undefined) checkValue(value, field.type, key, reader)
  }
}

function checkValue(value: WrittenValue, type: DataType, owner: string, reader: ConfigReader): void {
  if (type.kind === 'struct' && value.kind === 'map') {
    checkFields(value, type, 'field', owner, reader)
  } else if (type.kind === 'array' && value.kind === 'list') {
    for (const item of value.items) checkValue(item, type.element, owner, reader)
  } else if (type.kind === 'map' && value.kind === 'map') {
    for (const entry of value.entries) checkValue(entry.value, type.value, owner, reader)
  }
}

function checkName(
  name: string,
  span: Span,
  { fields }: Pick<StructType, 'fields'>,
  noun: 'column' | 'field',
  owner: string,
  reader: ConfigReader,
): void {
  const known = fields.map(field => field.name)
  if (known.includes(name)) return
  const near = nearestWord(name, known)
  reader.sink.error('CONFIG_UNKNOWN_KEY', span, `there is no ${noun} ${quoteValue(name)} in \`${owner}\``, {
    help: near === null ? `there are ${listWords(known.slice(0, 12))}` : `did you mean \`${near}\`?`,
    ...(near === null ? {} : { suggestion: near }),
  })
}
