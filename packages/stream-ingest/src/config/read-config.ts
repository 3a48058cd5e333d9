/**
 * From the text of a configuration to its pipelines: sections, inheritance, and what pipelines demand of each other.
 * Pure but for the reader's files: the same text and context give the same result.
 *
 * @module
 */
import type { Diagnostic } from '../error.ts'
import { appendAssignments, applyAssignments } from './assignment.ts'
import { type ConfigNode, type MapNode, parseConfigText } from './config-node.ts'
import { ConfigReader, type ReaderContext } from './config-reader.ts'
import type { ConfigTest } from './config-test.ts'
import { checkDelta, DELTA_SUBSECTIONS, deltaSection, resolveDelta } from './delta-section.ts'
import { type DiagnosticPlace, DiagnosticSink, quoteValue, type Span } from './diagnostic.ts'
import {
  type EffectivePipeline,
  effectiveSection,
  platformValues,
  type ReadSection,
} from './effective-config.ts'
import { type FieldType, integer } from './field-type.ts'
import { checkFreshness, freshnessSection, resolveFreshness } from './freshness-section.ts'
import type { PipelineConfig, S3Config } from './ingest-config.ts'
import { checkKafka, KAFKA_SUBSECTIONS, kafkaSection, resolveKafka } from './kafka-section.ts'
import { lintPipeline, lintSharedTables } from './lint.ts'
import { type PlatformDefaults, platformDefaults } from './platform-defaults.ts'
import { checkProcessing, processingSection, resolveProcessing } from './processing-section.ts'
import { resolveTests } from './resolve-tests.ts'
import {
  type AnySection,
  type FieldSpec,
  type OwnedEntry,
  optional,
  readSection,
  type SectionPlace,
  type SectionReading,
  type SectionSpec,
  type SectionValues,
  section,
} from './section.ts'
import {
  checkS3,
  localSection,
  resolveLocal,
  resolveS3,
  STORAGE_SUBSECTIONS,
  s3Section,
} from './storage-section.ts'
import { tablePath } from './table-path.ts'
import { type DeclaredTest, TEST_SECTIONS, testsType } from './tests-section.ts'

/** Pipelines of one process. */
export const PIPELINES_MAX = 256
const PIPELINE_NAME = /^[A-Za-z0-9_-]{1,64}$/

export interface ConfigReading {
  /** Null where there are errors. */
  readonly pipelines: readonly PipelineConfig[] | null
  /** What `tests:` has; none where there are errors. */
  readonly tests: readonly ConfigTest[]
  readonly diagnostics: readonly Diagnostic[]
  /** Ids of the AWS secrets that the text refers to. */
  readonly awsSecretIds: ReadonlySet<string>
  /** Of each pipeline; empty where there are errors. */
  readonly effective: readonly EffectivePipeline[]
  /** Where each pipeline names its table; empty where there are errors. */
  readonly tablePlaces: readonly DiagnosticPlace[]
}

/**
 * Reads a whole configuration. `file` is what diagnostics call it. Never throws for what stands in the text.
 *
 * @param written values beside the text, as `path.to.key=value`
 * @throws ConfigError `CONFIG_USAGE` where one of these has another form
 */
export function readConfig(
  text: string,
  file: string,
  context: ReaderContext,
  written: readonly string[] = [],
): ConfigReading {
  const { text: whole, assignments } = appendAssignments(text, written)
  const sink = new DiagnosticSink(file, whole)
  const reader = new ConfigReader(sink, context, SECTION_KEYS)
  const root = parseConfigText(sink)
  const { pipelines, tests } =
    root === null ? NOTHING : readRoot(applyAssignments(root, assignments, sink), reader)
  const hasErrors = sink.errorCount > 0
  return {
    pipelines: hasErrors ? null : pipelines.map(({ config }) => config),
    tests: hasErrors ? [] : tests,
    tablePlaces: hasErrors ? [] : pipelines.map(({ tableSpan }) => sink.locate(tableSpan)),
    effective: hasErrors ? [] : pipelines.map(({ effective }) => effective()),
    diagnostics: sink.finish(),
    awsSecretIds: reader.awsSecretIds,
  }
}

interface RootReading {
  readonly pipelines: readonly ReadPipeline[]
  readonly tests: readonly ConfigTest[]
}

const NOTHING: RootReading = { pipelines: [], tests: [] }

/** A section as it stands in the text; its keys are read once inheritance is resolved. */
interface WrittenSection {
  readonly node: MapNode
  readonly keySpan: Span
}

function written(expected: string): FieldType<WrittenSection> {
  return {
    label: 'section',
    expected,
    jsonSchema: {},
    read(node, reader, keySpan) {
      if (node.kind === 'map') return { node, keySpan: keySpan ?? node.span }
      reader.mismatch(node, expected)
      return undefined
    },
  }
}

function writtenSection(
  { description }: Pick<AnySection, 'description'>,
  notes: { readonly defaultText?: string } = {},
): FieldSpec<WrittenSection | undefined> {
  return optional<WrittenSection>(written('the keys of the section'), { description, ...notes })
}

const sectionFields = {
  kafka: writtenSection(kafkaSection, { defaultText: 'required' }),
  s3: writtenSection(s3Section, { defaultText: 'required' }),
  local: writtenSection(localSection),
  delta: writtenSection(deltaSection, { defaultText: 'required' }),
  processing: writtenSection(processingSection),
  freshness: writtenSection(freshnessSection),
}

const storageChoice = [{ keys: ['s3', 'local'] as const, required: false }]
const pipelineSection = section(
  'pipelines.*',
  'Overrides the top-level sections key by key.',
  sectionFields,
  storageChoice,
)

/** The top level of the file. */
export const rootSection = section(
  '',
  'The file.',
  {
    version: optional<number>(integer({ min: 1, max: 1 }), {
      description: 'Of this format.',
      defaultText: '`1`',
    }),
    ...sectionFields,
    pipelines: optional<WrittenSection>(written('a map of pipelines by name'), {
      description: 'Several pipelines, run by one process; each overrides the top-level sections key by key.',
    }),
    tests: optional<readonly DeclaredTest[]>(testsType(), {
      description:
        'Records and the rows that they are to become; `stream-ingest test` runs them, nothing else does.',
    }),
  },
  storageChoice,
)

/** Every section with keys of its own, in the order of the reference. */
export const ALL_SECTIONS: readonly AnySection[] = [
  kafkaSection,
  ...KAFKA_SUBSECTIONS,
  s3Section,
  ...STORAGE_SUBSECTIONS,
  localSection,
  deltaSection,
  ...DELTA_SUBSECTIONS,
  processingSection,
  freshnessSection,
  ...TEST_SECTIONS,
]

/** A key at a wrong place is no test's: what is to be configured is likelier meant. */
const SECTION_KEYS = new Map(
  ALL_SECTIONS.filter(spec => !TEST_SECTIONS.some(each => each.name === spec.name)).map(spec => [
    spec.name,
    Object.keys(spec.fields),
  ]),
)

/** One pipeline's place in the text. */
interface PipelineText {
  /** Null for the single pipeline of a file without `pipelines`. */
  readonly name: string | null
  readonly span: Span
  readonly own: SectionReading<typeof sectionFields>
}

interface ReadPipeline {
  readonly config: PipelineConfig
  readonly span: Span
  /** Of the table's name. */
  readonly tableSpan: Span
  readonly effective: () => EffectivePipeline
}

function readRoot(root: ConfigNode, reader: ConfigReader): RootReading {
  if (root.kind !== 'map') {
    reader.mismatch(root, 'a map of sections', 'a configuration starts with `kafka:`, `s3:` and `delta:`')
    return NOTHING
  }
  const span = { start: root.span.start, end: root.span.start }
  const entries = root.entries.map(entry => ({ ...entry, owner: '' }))
  const top = readSection(rootSection, entries, { path: '', span }, reader)
  const pipelines = readPipelines(top, span, reader)
  // Without its pipelines nothing can be said of a test.
  if (reader.sink.errorCount > 0) return NOTHING
  return {
    pipelines,
    tests: resolveTests(
      top.values.tests ?? [],
      pipelines.map(({ config }) => config),
      reader,
    ),
  }
}

function readPipelines(top: TopReading, span: Span, reader: ConfigReader): readonly ReadPipeline[] {
  if (!top.has('pipelines')) {
    const defaults = platformDefaults(reader.context.environment, 1)
    const single = readPipeline({ name: null, span, own: EMPTY_READING }, top, reader, defaults)
    return single === null ? [] : [single]
  }
  if (top.values.pipelines === undefined) return []
  const pipelines: ReadPipeline[] = []
  const texts = pipelineTexts(top.values.pipelines, reader)
  const defaults = platformDefaults(reader.context.environment, texts.length)
  for (const text of texts) {
    const pipeline = readPipeline(text, top, reader, defaults)
    if (pipeline !== null) pipelines.push(pipeline)
  }
  checkTables(pipelines, reader)
  if (reader.context.lints === true) lintSharedTables(pipelines, reader)
  return pipelines
}

const EMPTY_READING: SectionReading<typeof sectionFields> = {
  spec: pipelineSection,
  entry: () => undefined,
  values: {},
  has: () => false,
  isUnset: () => false,
  spanOf: () => ({ start: 0, end: 0 }),
}

function pipelineTexts({ node, keySpan }: WrittenSection, reader: ConfigReader): readonly PipelineText[] {
  if (node.entries.length === 0 || node.entries.length > PIPELINES_MAX) {
    const message = `expected 1 to ${PIPELINES_MAX} pipelines, found ${node.entries.length}`
    reader.sink.error('CONFIG_INVALID_VALUE', keySpan, message)
    return []
  }
  return node.entries.map(entry => {
    const path = `pipelines.${entry.key}`
    if (!PIPELINE_NAME.test(entry.key)) {
      const message = `${quoteValue(entry.key)} is no name of a pipeline`
      reader.sink.error('CONFIG_INVALID_VALUE', entry.keySpan, message, {
        help: 'letters, digits, `_` and `-`, at most 64 characters',
      })
    }
    const isEmpty = reader.isUnset(entry.value)
    if (entry.value.kind !== 'map' && !isEmpty) reader.mismatch(entry.value, 'the sections of a pipeline')
    const entries =
      entry.value.kind === 'map' ? entry.value.entries.map(each => ({ ...each, owner: path })) : []
    const own = readSection(pipelineSection, entries, { path, span: entry.keySpan }, reader)
    return { name: entry.key, span: entry.keySpan, own }
  })
}

type TopReading = SectionReading<typeof rootSection.fields>
type SectionKey = keyof typeof sectionFields

function readPipeline(
  text: PipelineText,
  top: TopReading,
  reader: ConfigReader,
  defaults: PlatformDefaults,
): ReadPipeline | null {
  const errorsBefore = reader.sink.errorCount
  const kafka = readInherited('kafka', kafkaSection, text, top, reader)
  if (kafka !== null) checkKafka(kafka, reader)
  const storage = readStorage(text, top, reader)
  const delta = readInherited('delta', deltaSection, text, top, reader)
  if (delta !== null) checkDelta(delta, reader)
  const processing = readInherited('processing', processingSection, text, top, reader, 'optional')
  if (processing !== null) checkProcessing(processing, reader)
  const freshness = readInherited('freshness', freshnessSection, text, top, reader, 'optional')
  if (freshness !== null) checkFreshness(freshness, reader)
  if (kafka === null || storage === null || delta === null || processing === null) return null
  // A finding in a section that an earlier pipeline shares is not counted again: what was read tells it.
  if (reader.sink.errorCount > errorsBefore || reader.sink.errorCount > 0) return null
  const kafkaConfig = resolveKafka(complete(kafka))
  const deltaConfig = resolveDelta(complete(delta))
  const group = kafkaConfig.consumerGroup
  const config: PipelineConfig = {
    name: text.name ?? deltaConfig.tableName,
    pipelineId: text.name === null ? group : `${group}.${text.name}`,
    kafka: kafkaConfig,
    s3: storage.config,
    delta: deltaConfig,
    processing: resolveProcessing(complete(processing), defaults),
    ...(freshness === null ? {} : { freshness: resolveFreshness(complete(freshness)) }),
  }
  if (reader.context.lints === true) lintPipeline({ kafka, delta, processing, freshness }, config, reader)
  const effective = (): EffectivePipeline => {
    const section = (key: string, reading: ReadSection, platform?: ReturnType<typeof platformValues>) =>
      effectiveSection(key, reading, ownPath(key, text), reader, platform)
    const sections = [
      section('kafka', kafka),
      section(storage.config.kind, storage.reading),
      section('delta', delta),
      section('processing', processing, platformValues(defaults)),
      ...(freshness === null ? [] : [section('freshness', freshness)]),
    ]
    return { name: text.name, pipelineId: config.pipelineId, sections }
  }
  return { config, span: text.span, tableSpan: delta.spanOf('table_name'), effective }
}

/** Without an error in the text, a reading holds every value that its type promises. */
function complete<F extends Readonly<Record<string, unknown>>>(reading: SectionReading<F>): SectionValues<F> {
  return reading.values as SectionValues<F>
}

function readStorage(
  text: PipelineText,
  top: TopReading,
  reader: ConfigReader,
): { readonly config: S3Config; readonly reading: ReadSection } | null {
  const errorsBefore = reader.sink.errorCount
  // A pipeline's own choice between the two replaces the inherited one whole.
  const isLocal = text.own.has('local') || (!text.own.has('s3') && top.has('local'))
  if (isLocal) {
    const local = readInherited('local', localSection, text, top, reader)
    if (local === null || reader.sink.errorCount > errorsBefore) return null
    return { config: resolveLocal(complete(local)), reading: local }
  }
  const s3 = readInherited('s3', s3Section, text, top, reader)
  if (s3 !== null) checkS3(s3, reader)
  if (s3 === null || reader.sink.errorCount > 0) return null
  return { config: resolveS3(complete(s3)), reading: s3 }
}

/** What messages call a section of the pipeline. */
function ownPath(key: string, { name }: PipelineText): string {
  return name === null ? key : `pipelines.${name}.${key}`
}

/** The section of a pipeline: the top-level one's keys, each replaced by the pipeline's own where it has it. */
function readInherited<F extends Readonly<Record<string, unknown>>>(
  key: SectionKey,
  spec: SectionSpec<F>,
  text: PipelineText,
  top: TopReading,
  reader: ConfigReader,
  presence: 'required' | 'optional' = 'required',
): SectionReading<F> | null {
  const own = text.own.values[key]
  const inherited = top.values[key]
  if (presence === 'required' && own === undefined && inherited === undefined) {
    if (!text.own.has(key) && !top.has(key)) reportMissingSection(key, spec, text, reader)
    // An empty section lacks its required keys, which is what is worth saying.
    else if (!isEmptySection(key, text, top)) return null
    else return readSection(spec, [], placeOf(key, text, top), reader)
    return null
  }
  const owner = ownPath(key, text)
  const ownEntries = (own?.node.entries ?? []).map((entry): OwnedEntry => ({ ...entry, owner }))
  const replaced = new Set(ownEntries.map(entry => entry.key))
  for (const { keys } of spec.exclusive) {
    if (keys.some(each => replaced.has(each))) for (const each of keys) replaced.add(each)
  }
  const kept = (inherited?.node.entries ?? [])
    .filter(entry => !replaced.has(entry.key))
    .map((entry): OwnedEntry => ({ ...entry, owner: key }))
  return readSection(spec, [...kept, ...ownEntries], placeOf(key, text, top), reader)
}

function placeOf(key: SectionKey, text: PipelineText, top: TopReading): SectionPlace {
  const own = text.own.values[key]
  const inherited = top.values[key]
  return {
    path: ownPath(key, text),
    span: own?.keySpan ?? (text.name === null ? (inherited?.keySpan ?? top.spanOf(key)) : text.span),
  }
}

function isEmptySection(key: SectionKey, text: PipelineText, top: TopReading): boolean {
  return (text.own.has(key) ? text.own : top).isUnset(key)
}

function reportMissingSection(
  key: SectionKey,
  spec: AnySection,
  text: PipelineText,
  reader: ConfigReader,
): void {
  const needed = Object.entries(spec.fields)
    .filter(([, field]) => (field as { presence: string }).presence === 'required')
    .map(([name]) => `\`${name}\``)
  const where = text.name === null ? '' : ` for the pipeline \`${text.name}\``
  const name = key === 's3' ? '`s3` or `local`' : `\`${key}\``
  reader.sink.error('CONFIG_MISSING_KEY', text.span, `missing section ${name}${where}`, {
    help: `add \`${key}:\` with ${needed.join(', ')}`,
  })
}

/** Two pipelines that put the same topic into the same table would write each message twice. */
function checkTables(
  pipelines: readonly { config: PipelineConfig; span: Span }[],
  reader: ConfigReader,
): void {
  const owners = new Map<string, string>()
  for (const { config, span } of pipelines) {
    const table = tablePath(config.s3, config.delta.tableName)
    for (const topic of config.kafka.topics) {
      const flow = `${config.kafka.bootstrapServers.toSorted().join()} ${topic} ${table}`
      const owner = owners.get(flow)
      if (owner !== undefined) {
        const message = `the pipelines \`${owner}\` and \`${config.name}\` both write \`${topic}\` to ${quoteValue(table)}`
        reader.sink.error('CONFIG_CONFLICT', span, message, {
          help: 'every message would be there twice: remove one of them',
        })
        break
      }
      owners.set(flow, config.name)
    }
  }
}
