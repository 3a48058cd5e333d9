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
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EXIT_CODES, GenericError } from '../error.ts'
import type { CommandIo } from './command-io.ts'
import { proveExactlyOnce } from './demo-proof.ts'
import { openDemoTopic } from './demo-topic.ts'
import { formatBytes, formatCount, formatDuration } from './format.ts'
import { formatJsonDocument } from './json-document.ts'

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

interface RunOutcome {
  readonly signal: NodeJS.Signals | null
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** @returns the exit code: 0 only where the proof holds */
export async function demoCommand(options: DemoOptions, io: CommandIo): Promise<number> {
  const say = (text: string): void => {
    if (options.json !== true) io.stdout.write(`${text}\n`)
  }
  const lake =
    options.s3 === undefined
      ? resolve(io.cwd, options.dir)
      : `s3://${options.bucket}/demo-${io.runtime.now()}`
  if (options.s3 === undefined) {
    await rm(join(lake, TABLE), { recursive: true, force: true })
    await mkdir(lake, { recursive: true })
  }
  const topic = await openDemoTopic({
    rows: options.rows,
    partitions: PARTITIONS,
    runtime: io.runtime,
    ...(options.kafka === undefined ? {} : { kafka: options.kafka }),
  })
  const configFile = join(resolve(io.cwd, options.dir), 'stream-ingest-demo.yaml')
  try {
    await mkdir(resolve(io.cwd, options.dir), { recursive: true })
    await writeFile(configFile, demoConfig(topic.bootstrapServers, topic.name, lake, options))
    say(`stream-ingest demo · node ${process.versions.node}\n`)
    say(
      `  source   generated “${topic.name}”, ${PARTITIONS} partitions, ${formatCount(options.rows)} messages at ${topic.bootstrapServers}`,
    )
    say(`  table    ${lake}/${TABLE}  (Delta, partitioned by date)\n`)
    const startedMs = io.runtime.monotonicMs()
    const killed = await runIngest(configFile, io, `before-commit:${KILLED_COMMIT}`)
    if (killed.signal !== 'SIGKILL')
      throw failed('the first writer was to be killed between upload and commit', killed)
    const finished = await runIngest(configFile, io)
    if (finished.code !== 0) throw failed('the second writer failed', finished)
    const elapsedMs = io.runtime.monotonicMs() - startedMs
    const proof = await proveExactlyOnce(configFile, topic, io)
    if (options.json === true)
      io.stdout.write(
        formatJsonDocument({
          ok: proof.ok,
          elapsedMs: Math.round(elapsedMs),
          table: `${lake}/${TABLE}`,
          ...proof.facts,
        }),
      )
    const { facts } = proof
    say(
      `  ${mark(proof.ok)} ${facts.commits} commits   ${formatCount(facts.rows)} rows   ${facts.files} files   ${formatBytes(facts.sizeBytes)}   ${formatDuration(elapsedMs)} with two process starts`,
    )
    say(
      `  ${mark(facts.orphans > 0)} killed the writer (SIGKILL) between upload and commit: ${facts.orphans} uploaded files that no commit names`,
    )
    say(
      `  ${mark(facts.duplicates === 0 && facts.gaps === 0)} restarted it, and the table holds every message once: ${facts.duplicates} duplicates, ${facts.gaps} gaps`,
    )
    say(
      `  ${mark(facts.sumsMatch)} counts, sums, minima and maxima per column equal those of the generated messages`,
    )
    if (proof.ok && options.s3 === undefined) sayNext(say, lake, options)
    if (!proof.ok) io.stderr.write(`the proof failed: ${proof.problems.join('; ')}\n`)
    return proof.ok ? EXIT_CODES.ok : EXIT_CODES.negative
  } finally {
    await topic.close()
  }
}

function mark(good: boolean): string {
  return good ? '✓' : 'x'
}

function sayNext(say: (text: string) => void, lake: string, options: DemoOptions): void {
  const table = `${options.dir.replace(/\/$/, '')}/${TABLE}`
  say('\nLook at it')
  say(`  npx stream-ingest inspect table ${table}`)
  say(`  npx stream-ingest read ${table} --limit 5 --format table`)
  say(`  duckdb -c "select event_type, count(*) from delta_scan('${lake}/${TABLE}') group by 1"`)
  say('Next')
  say('  npx stream-ingest validate examples/user-events/stream-ingest.yaml')
}

function demoConfig(bootstrapServers: string, topic: string, lake: string, options: DemoOptions): string {
  const store =
    options.s3 === undefined
      ? `local:\n  path: ${JSON.stringify(lake)}\n`
      : `s3:\n  bucket: ${JSON.stringify(options.bucket)}\n  prefix: ${JSON.stringify(lake.slice(`s3://${options.bucket}/`.length))}\n  region: us-east-1\n  endpoint: ${JSON.stringify(options.s3)}\n  force_path_style: true\n  create_bucket: true\n`
  return `# Written by \`stream-ingest demo\`.
kafka:
  bootstrap_servers: ${JSON.stringify(bootstrapServers)}
  topic: ${JSON.stringify(topic)}
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
  batch_size: ${Math.max(1, Math.ceil(options.rows / COMMITS))}
`
}

/** Runs `run --until-latest` in a process of its own, so that it can really be killed. */
async function runIngest(configFile: string, io: CommandIo, killAt?: string): Promise<RunOutcome> {
  const entry = fileURLToPath(new URL('../../bin/stream-ingest.js', import.meta.url))
  const child = spawn(process.execPath, [entry, 'run', configFile, '--until-latest', '--json', '--quiet'], {
    cwd: io.cwd,
    env: {
      ...io.env,
      ...(killAt === undefined ? {} : { STREAM_INGEST_KILL_AT: killAt }),
    } as NodeJS.ProcessEnv,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_MAX_MS,
    killSignal: 'SIGTERM',
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { code, signal, stdout, stderr }
}

function failed(what: string, outcome: RunOutcome): GenericError {
  const end = outcome.signal === null ? `exit code ${outcome.code}` : outcome.signal
  return new GenericError('INTERNAL', `${what}; it ended with ${end}\n${outcome.stderr.trim()}`, {
    hint: 'see the message above',
  })
}
