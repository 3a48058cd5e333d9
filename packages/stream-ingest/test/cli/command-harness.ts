/**
 * The command line in the process: a stranger's folder, real arguments, and what came out.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import {
  loadSnapshot,
  type ObjectStore,
  openStore,
  parseJson,
  scanTable,
  systemRuntime,
  type TableRow,
} from '@stream-ingest/delta'
import type { CommandIo, OutputStream, StopSignal } from '../../src/cli/command-io.ts'
import { runCommandLine } from '../../src/cli/command-line.ts'

/** What stands in for every secret of a test: it must not come out anywhere. */
export const SECRET = 'hunter2-do-not-print'

/** No run here may take longer, on a machine that is busy: a hang is a failure with a name. */
export const RUN_TIMEOUT_MS = 60_000

export interface Outcome {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** Sends SIGTERM when this resolves. */
  readonly stopAfter?: Promise<unknown>
}

/** A world in which nothing is asked for but what a test gives. */
export function commandIo(world: {
  readonly stderr: OutputStream
  readonly env?: Readonly<Record<string, string>>
  readonly monotonicMs?: () => number
}): CommandIo {
  const refuse = (): never => assert.fail('the command ends the process')
  return {
    stdout: { write: () => assert.fail('nothing is a result yet') },
    stderr: world.stderr,
    env: world.env ?? {},
    cwd: tmpdir(),
    runtime: { ...systemRuntime, monotonicMs: world.monotonicMs ?? systemRuntime.monotonicMs },
    onStopSignal: () => () => {},
    exit: refuse,
    kill: refuse,
  }
}

/** Runs one command to its end. Fails where it takes longer than {@link RUN_TIMEOUT_MS}, or prints the secret. */
export async function run(args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  let stdout = ''
  let stderr = ''
  const listeners = new Set<(signal: StopSignal) => void>()
  const refuse = (): never => assert.fail('the command ends the process')
  const io: CommandIo = {
    stdout: { write: text => (stdout += text) },
    stderr: { write: text => (stderr += text) },
    env: options.env ?? {},
    cwd: options.cwd ?? tmpdir(),
    runtime: systemRuntime,
    onStopSignal: listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    exit: refuse,
    kill: refuse,
  }
  void options.stopAfter?.then(() => {
    for (const listener of listeners) listener('SIGTERM')
  })
  const timeout = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    timeout.reject(new Error(`still running after ${RUN_TIMEOUT_MS} ms: ${args.join(' ')}\n${stderr}`))
  }, RUN_TIMEOUT_MS)
  try {
    const exitCode = await Promise.race([runCommandLine(args, io), timeout.promise])
    for (const text of [stdout, stderr]) assert(!text.includes(SECRET), `a secret is printed: ${text}`)
    return { exitCode, stdout, stderr }
  } finally {
    clearTimeout(timer)
  }
}

/** The error of a failed command, from its one JSON document on stdout. */
export interface ShownError {
  readonly kind: string
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly retryable: boolean
  readonly context: Readonly<Record<string, unknown>>
}

/** The one JSON document on stdout; fails where there is more or less. */
export function documentOf({ stdout, stderr }: Outcome): Record<string, unknown> {
  assert(
    stdout.endsWith('\n') && !stdout.slice(0, -1).includes('\n'),
    `not one document: ${stdout}\n${stderr}`,
  )
  const document = parseJson(stdout)
  assert(typeof document === 'object' && document !== null)
  return document as Record<string, unknown>
}

/** The lines of the JSON log on stderr. */
export function logOf({ stderr }: Outcome): Record<string, unknown>[] {
  const lines = stderr.split('\n').filter(line => line.startsWith('{'))
  return lines.map(line => parseJson(line) as Record<string, unknown>)
}

/** What a failure must look like, both on stdout (`--json`) and, for people, on stderr. */
export interface ExpectedFailure {
  readonly exitCode: number
  readonly code: string
  /** Place and value. */
  readonly message: RegExp
  /** The way out. */
  readonly hint: RegExp
  readonly kind?: string
  readonly retryable?: boolean
}

/** Checks a failed command's exit code, document and text, and returns the error shown. */
export function assertFailure(outcome: Outcome, expected: ExpectedFailure): ShownError {
  const document = documentOf(outcome)
  const error = document.error as ShownError
  assert(error !== undefined, `no error is shown: ${outcome.stdout}`)
  assert.equal(error.code, expected.code, `${error.code}: ${error.message}\n${outcome.stderr}`)
  assert.equal(outcome.exitCode, expected.exitCode, `${error.code}: exit code`)
  assert.match(error.message, expected.message)
  assert.match(error.hint, expected.hint)
  assert.deepEqual(Object.keys(error), ['kind', 'code', 'message', 'hint', 'retryable', 'context'])
  if (expected.kind !== undefined) assert.equal(error.kind, expected.kind)
  if (expected.retryable !== undefined) assert.equal(error.retryable, expected.retryable)
  if ('success' in document) assert.equal(document.success, false)
  else assert.deepEqual(Object.keys(document), ['error'])
  // Of a configuration, each finding is shown with a code of its own.
  const shown = expected.code === 'CONFIG_INVALID' ? 'error[CONFIG_' : `error[${expected.code}]`
  assert(outcome.stderr.includes(shown), `stderr does not name the code: ${outcome.stderr}`)
  assert.doesNotMatch(outcome.stderr, /\n\s+at .*[(/]|node_modules/, 'a stack is for bugs and --verbose')
  assert.doesNotMatch(`${error.message} ${error.hint}`, /undefined|\[object|NaN/)
  return error
}

type Section = object

export interface ConfigParts {
  readonly kafka?: Section
  readonly s3?: Section
  readonly delta?: Section
  readonly processing?: Section
}

/** A table of `id` and `name`, with Kafka's columns, from the topic `events`. */
const DELTA: Section = {
  table_name: 'events',
  schema: [
    { name: 'id', data_type: 'int64', nullable: false },
    { name: 'name', data_type: 'utf8' },
  ],
}

/** A folder with a configuration in it and a lake below it; gone when the test ends. */
export class Workplace {
  readonly folder: string
  private readonly kafka: Section
  /** Of the S3 section or, where there is none, of the folder `lake`. */
  private s3: Section | undefined

  private constructor(folder: string, bootstrapServers: string) {
    this.folder = folder
    this.kafka = { bootstrap_servers: bootstrapServers, topic: 'events', consumer_group: 'lake' }
  }

  static async open(t: TestContext, bootstrapServers: string, s3?: Section): Promise<Workplace> {
    const folder = await mkdtemp(join(tmpdir(), 'bad-input-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const workplace = new Workplace(folder, bootstrapServers)
    workplace.s3 = s3
    return workplace
  }

  get tablePath(): string {
    return join(this.folder, 'lake', 'events')
  }

  /** Writes the configuration, JSON being YAML, and returns its name. */
  async configure(parts: ConfigParts = {}, name = 'pipeline.yaml'): Promise<string> {
    const s3 = parts.s3 ?? this.s3
    const config = {
      kafka: { ...this.kafka, ...parts.kafka },
      ...(s3 === undefined ? { local: { path: join(this.folder, 'lake') } } : { s3 }),
      delta: { ...DELTA, ...parts.delta },
      processing: { max_retries: 1, retry_base_delay_ms: 1, ...parts.processing },
    }
    await writeFile(join(this.folder, name), JSON.stringify(config, null, 2))
    return name
  }

  /** `run --until-latest --json` of a configuration. */
  async ingest(parts: ConfigParts = {}, options: CommandOptions = {}): Promise<Outcome> {
    const config = await this.configure(parts)
    return run(['run', config, '--until-latest', '--json', '--log', 'json'], { cwd: this.folder, ...options })
  }

  /** Ingests and asserts that it succeeds; returns the document. */
  async ingestAll(parts: ConfigParts = {}): Promise<Record<string, unknown>> {
    const outcome = await this.ingest(parts)
    assert.equal(outcome.exitCode, 0, outcome.stderr)
    return documentOf(outcome)
  }

  async rows(columns?: readonly string[]): Promise<TableRow[]> {
    return rowsOf(openStore(this.tablePath), columns)
  }

  /** Kafka offsets in the table: see {@link offsetsOf}. */
  async offsets(partition = 0): Promise<number[]> {
    return offsetsOf(openStore(this.tablePath), partition)
  }
}

/** The rows of the table in a store; none where there is no table. */
async function rowsOf(store: ObjectStore, columns?: readonly string[]): Promise<TableRow[]> {
  const snapshot = await loadSnapshot(store)
  const rows: TableRow[] = []
  if (snapshot === null) return rows
  const options = columns === undefined ? {} : { columns }
  for await (const batch of scanTable(snapshot, options)) rows.push(...batch)
  return rows
}

/** Kafka offsets of one partition in a table, ascending: duplicates show. */
export async function offsetsOf(store: ObjectStore, partition = 0): Promise<number[]> {
  const rows = await rowsOf(store, ['_kafka_partition', '_kafka_offset'])
  return rows
    .filter(row => row._kafka_partition === partition)
    .map(row => Number(row._kafka_offset))
    .sort((a, b) => a - b)
}

/** `[from, to)`. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

/** Sound records of the default schema. */
export function sound(from: number, to: number): { value: string }[] {
  return range(from, to).map(id => ({ value: `{"id":${id},"name":"n${id}"}` }))
}
