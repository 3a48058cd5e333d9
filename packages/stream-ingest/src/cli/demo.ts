/**
 * `stream-ingest demo`: the whole product in one command, with its guarantee put to the test.
 *
 * Events are produced to a Kafka broker (embedded, or a real one), the real `run` command ingests them in a process of
 * its own, that process is killed (SIGKILL) between upload and commit, a second one finishes the work, and the proof is
 * read from the table: every message is there exactly once.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { EXIT_CODES, GenericError, IoError } from '../error.ts'
import { formatBytes, formatCount, formatDuration, formatNumberOf } from '../observe/format.ts'
import { type DemoTopic, openDemoTopic } from '../testing/demo-topic.ts'
import type { CommandIo } from './command-io.ts'
import { type Proof, proveExactlyOnce } from './demo-proof.ts'
import { formatJsonDocument } from './json-document.ts'
import { createProgress, type Progress } from './progress.ts'
import { VERSION } from './version.ts'

export interface DemoOptions {
  readonly rows: number
  readonly dir: string
  readonly kafka?: string
  readonly s3?: string
  readonly bucket: string
  readonly json?: boolean
}

const PARTITIONS = 4
const TABLE = 'user_events'
/** Commits in a demonstration: enough for checkpoints, and for a crash in the middle. */
const COMMITS = 12
/** The commit before which the first process dies. */
const KILLED_COMMIT = 5
/** Longest that one `run` may take. */
const RUN_MAX_MS = 10 * 60_000
/** Of what a writer says on stderr, the end. */
const STDERR_KEPT_CHARACTERS = 8_192
/** Beside the table; that it is there says that the table is an earlier demonstration's and may go. */
const CONFIG_FILE = 'stream-ingest-demo.yaml'

/** What one demonstration works on. */
interface Setting {
  readonly options: DemoOptions
  readonly io: CommandIo
  /** Local folder of the configuration and, without S3, of the table. */
  readonly folder: string
  /** Where the table's folder goes: `folder`, or an S3 URI. */
  readonly lake: string
  /** Aborted by a signal to stop. */
  readonly stop: AbortSignal
  readonly progress: Progress
}

interface RunOutcome {
  readonly signal: NodeJS.Signals | null
  readonly code: number | null
  readonly stderr: string
}

/**
 * Runs the demonstration. A signal to stop ends the writer that is running, and then the command; a second one ends it at
 * once.
 *
 * @returns the exit code: 0 only where the proof holds
 * @throws StreamIngestError where it cannot be carried out
 */
export async function demoCommand(options: DemoOptions, io: CommandIo): Promise<number> {
  if (options.rows < 1) throw new GenericError('CONFIG_USAGE', '`--rows 0` leaves nothing to prove')
  const stop = new AbortController()
  const progress = createProgress(io, options.json === true)
  const endSignals = io.onStopSignal(() => {
    if (stop.signal.aborted) {
      progress.end()
      io.exit(EXIT_CODES.interrupted)
    }
    stop.abort()
  })
  const folder = resolve(io.cwd, options.dir)
  const lake = options.s3 === undefined ? folder : `s3://${options.bucket}/demo-${io.runtime.now()}`
  const setting: Setting = { options, io, folder, lake, stop: stop.signal, progress }
  try {
    await prepareFolder(setting)
    return await demonstrate(setting)
  } catch (error) {
    if (stop.signal.aborted) return EXIT_CODES.interrupted
    throw error
  } finally {
    progress.end()
    endSignals()
  }
}

async function demonstrate(setting: Setting): Promise<number> {
  const { options, io, progress } = setting
  const configFile = join(setting.folder, CONFIG_FILE)
  const topic = await openDemoTopic({
    rows: options.rows,
    partitions: PARTITIONS,
    runtime: io.runtime,
    signal: setting.stop,
    progressed: done =>
      progress.update(`${formatCount(done)} of ${formatNumberOf(options.rows, 'message')} generated`, {
        done,
        total: options.rows,
      }),
    ...(options.kafka === undefined ? {} : { kafka: options.kafka }),
  })
  try {
    await writeFile(configFile, demoConfig(topic.bootstrapServers, topic.name, setting))
    progress.end()
    sayStart(setting, topic)
    const startedMs = io.runtime.monotonicMs()
    await runWriters(configFile, setting)
    const elapsedMs = io.runtime.monotonicMs() - startedMs
    const proof = await proveExactlyOnce(configFile, topic, io, done =>
      progress.update(`${formatNumberOf(done, 'row')} read for the proof`, { done, total: options.rows }),
    )
    progress.end()
    // A crash that left nothing behind would have happened at another moment than is claimed.
    const crashed = proof.facts.orphans > 0
    const isOk = proof.ok && crashed
    if (options.json === true) {
      const table = `${setting.lake}/${TABLE}`
      io.stdout.write(
        formatJsonDocument({ ok: isOk, elapsedMs: Math.round(elapsedMs), table, ...proof.facts }),
      )
    } else sayProof(setting, proof, elapsedMs)
    if (isOk) return EXIT_CODES.ok
    const problems = crashed ? proof.problems : [...proof.problems, 'the killed writer left no file behind']
    io.stderr.write(`the proof failed: ${problems.join('; ')}\n`)
    return EXIT_CODES.negative
  } finally {
    await topic.close()
  }
}

/** Makes room for the table, but only where an earlier demonstration put it. */
async function prepareFolder({ options, folder }: Setting): Promise<void> {
  const table = join(folder, TABLE)
  if (options.s3 === undefined && existsSync(table)) {
    if (!existsSync(join(folder, CONFIG_FILE))) {
      throw new IoError('DEMO_FOLDER_TAKEN', `\`${table}\` is there already, and is not of a demonstration`)
    }
    await rm(table, { recursive: true })
  }
  await mkdir(folder, { recursive: true })
}

/** One writer that is killed between upload and commit, and one that finishes. */
async function runWriters(configFile: string, setting: Setting): Promise<void> {
  const { rows } = setting.options
  const killedCommit = Math.min(KILLED_COMMIT, Math.ceil(rows / batchSize(rows)))
  let commitCount = 0
  const committed = (): void => {
    const [done, total] = [++commitCount, Math.ceil(rows / batchSize(rows))]
    setting.progress.update(`${formatCount(done)} of ${formatNumberOf(total, 'commit')}`, { done, total })
  }
  const killed = await runIngest(configFile, setting, committed, `before-commit:${killedCommit}`)
  if (killed.signal !== 'SIGKILL') {
    throw failed('the first writer was to be killed between upload and commit', killed)
  }
  const finished = await runIngest(configFile, setting, committed)
  if (finished.code !== 0) throw failed('the second writer failed', finished)
}

function batchSize(rows: number): number {
  return Math.ceil(rows / COMMITS)
}

function sayStart({ options, io, lake }: Setting, topic: DemoTopic): void {
  if (options.json === true) return
  const needs = options.kafka === undefined && options.s3 === undefined ? ' · no Kafka or AWS needed' : ''
  const broker = options.kafka === undefined ? 'an embedded broker' : options.kafka
  io.stdout.write(`stream-ingest ${VERSION} · node ${process.versions.node}${needs}

  source   generated “${topic.name}”, ${PARTITIONS} partitions, ${formatCount(options.rows)} messages, on ${broker}
  table    ${shownLake(lake, options)}/${TABLE}  (Delta, partitioned by date)

`)
}

function sayProof({ options, io, lake }: Setting, { facts }: Proof, elapsedMs: number): void {
  const orphans = `${facts.orphans} uploaded ${facts.orphans === 1 ? 'file' : 'files'}`
  const rate = `${formatCount(Math.round(facts.rows / elapsedMs))} k rows/s`
  const lines = [
    [
      facts.duplicates === 0 && facts.gaps === 0,
      `${facts.commits} commits   ${formatCount(facts.rows)} rows   ${facts.files} files   ${formatBytes(facts.sizeBytes)}   ${formatDuration(elapsedMs)}   ${rate}`,
    ],
    [
      facts.orphans > 0,
      `crashed the writer once (SIGKILL) between upload and commit: ${orphans} in no commit`,
    ],
    [
      facts.duplicates === 0 && facts.gaps === 0,
      `restarted it, read the table, found ${formatCount(facts.duplicates)} duplicates and ${formatCount(facts.gaps)} gaps`,
    ],
    [facts.sumsMatch, 'count, sum, smallest and largest value of every column are those of the messages'],
  ] as const
  for (const [good, text] of lines) io.stdout.write(`  ${good ? '✓' : 'x'} ${text}\n`)
  sayNext(io, shownLake(lake, options), options)
}

function sayNext(io: CommandIo, lake: string, { s3, dir }: DemoOptions): void {
  const endpoint = s3 === undefined ? '' : ` --endpoint ${s3}`
  const duckdb = `  duckdb -c "select event_type, count(*) from delta_scan('${lake}/${TABLE}') group by 1"\n`
  io.stdout.write(`
Look at it
  npx stream-ingest inspect table ${lake}/${TABLE}${endpoint}
  npx stream-ingest read ${lake}/${TABLE}${endpoint} --limit 5 --format table
${s3 === undefined ? duckdb : ''}Next
  npx stream-ingest validate ${withoutSlash(dir)}/${CONFIG_FILE}
`)
}

/** As it was named on the command line, so that it can be pasted. */
function shownLake(lake: string, options: DemoOptions): string {
  return options.s3 === undefined ? withoutSlash(options.dir) : lake
}

function withoutSlash(folder: string): string {
  return folder.replace(/(?<=.)\/+$/, '')
}

function demoConfig(bootstrapServers: string, topic: string, { options, lake }: Setting): string {
  const store =
    options.s3 === undefined
      ? `local:\n  path: ${yamlText(lake)}\n`
      : `s3:
  bucket: ${yamlText(options.bucket)}
  prefix: ${yamlText(lake.slice(`s3://${options.bucket}/`.length))}
  region: us-east-1
  endpoint: ${yamlText(options.s3)}
  force_path_style: true
  create_bucket: true
`
  return `# Written by \`stream-ingest demo\`.
kafka:
  bootstrap_servers: ${yamlText(bootstrapServers)}
  topic: ${yamlText(topic)}
  consumer_group: stream-ingest-demo
${store}delta:
  table_name: ${TABLE}
  partition_columns: [date]
  schema:
    - { name: user_id, data_type: int64, nullable: false }
    - { name: event_type, data_type: utf8, nullable: false }
    - { name: timestamp, data_type: timestamp_millisecond, nullable: false }
    - { name: session_id, data_type: utf8 }
    - { name: page, data_type: utf8 }
    - { name: amount, data_type: float64 }
    - { name: quantity, data_type: int32 }
    - { name: is_mobile, data_type: boolean }
processing:
  batch_size: ${batchSize(options.rows)}
`
}

/** JSON is YAML; a dollar sign stands for itself when it is doubled. */
function yamlText(text: string): string {
  return JSON.stringify(text.replaceAll('$', '$$$$'))
}

/** Runs `run --until-latest` in a process of its own, so that it can really be killed. */
async function runIngest(
  configFile: string,
  setting: Setting,
  committed: () => void,
  killAt?: string,
): Promise<RunOutcome> {
  const { io, stop } = setting
  stop.throwIfAborted()
  const entry = fileURLToPath(new URL('../../bin/stream-ingest.js', import.meta.url))
  const child = spawn(process.execPath, [entry, 'run', configFile, '--until-latest', '--log', 'json'], {
    cwd: io.cwd,
    env: { ...io.env, STREAM_INGEST_KILL_AT: killAt ?? '' } as NodeJS.ProcessEnv,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: RUN_MAX_MS,
    killSignal: 'SIGTERM',
  })
  const endChild = (): void => void child.kill('SIGTERM')
  stop.addEventListener('abort', endChild)
  try {
    let stderr = ''
    createInterface({ input: child.stderr }).on('line', line => {
      // The log; what goes wrong is said once more, as text.
      if (!line.startsWith('{')) stderr = `${stderr}${line}\n`.slice(-STDERR_KEPT_CHARACTERS)
      else if (isCommit(line)) committed()
    })
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    stop.throwIfAborted()
    return { code, signal, stderr }
  } finally {
    stop.removeEventListener('abort', endChild)
  }
}

function isCommit(line: string): boolean {
  return line.includes('"event":"commit"')
}

function failed(what: string, outcome: RunOutcome): GenericError {
  const end = outcome.signal === null ? `exit code ${outcome.code}` : outcome.signal
  return new GenericError('DEMO_FAILED', `${what}; it ended with ${end}\n${outcome.stderr.trim()}`)
}
