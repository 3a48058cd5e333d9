/**
 * `npm run test:chaos`: real processes, real Kafka, a real S3 server, at least fifty SIGKILLs at random moments and at
 * every write of the commit path, paused processes that wake, several processes at once, a store that fails and a broker
 * that goes away. At the end the table must hold every message exactly once.
 *
 *   npm run test:chaos -- [--seed N] [--minutes N] [--lake s3|local] [--s3 s3proxy|versitygw] [--keep]
 *
 * The seed (or `CHAOS_SEED`) decides the plan; without one a new one is taken and printed.
 *
 * @module
 */
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type ObjectStore, openStore } from '@stream-ingest/delta'
import type { S3ServerKind } from '../../../../scripts/stack/s3-server.ts'
import { type Stack, startStack, stopStack } from '../../../../scripts/stack/stack.ts'
import { KILL_POINTS } from '../../src/testing/kill-point.ts'
import { Chaos, type Lake } from './chaos.ts'
import { Ledger } from './ledger.ts'
import { ChaosPlan, type Turn } from './plan.ts'
import { type Proof, type ProofInput, proveExactlyOnce } from './proof.ts'
import { SeededRandom } from './seeded-random.ts'
import { TopicFiller } from './topic-filler.ts'
import { TABLE, TOPIC } from './writer-config.ts'

const KILLS_MIN = 50
const POINT_KILLS_MIN = 2
/** Enough to know that something is wrong: what comes after tells no more. */
const VIOLATIONS_MAX = 5
/** Turns with one process that are added for a kill point which was not reached often enough. */
const REACHING_TURNS_MAX = 4
const SEED_MAX = 2 ** 31
const EXIT_FAILURE = 1
const EXIT_USAGE = 64
const EXIT_UNAVAILABLE = 69
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

interface Settings {
  readonly seed: number
  readonly minutes: number
  readonly lake: 's3' | 'local'
  readonly s3: S3ServerKind
  readonly keep: boolean
}

async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const settings = readSettings(argv, env)
  if (typeof settings === 'string') {
    process.stderr.write(`error: ${settings}\n`)
    return EXIT_USAGE
  }
  const interruption = new AbortController()
  let exitCode: number | undefined
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      exitCode ??= 128 + constants.signals[signal]
      interruption.abort()
    })
  }
  const { signal } = interruption
  say(`chaos · seed ${settings.seed} · lake ${settings.lake}`)
  const starting = startStack({ s3: settings.s3 })
  const stack = await Promise.race([starting, once(signal, 'abort').then(() => undefined)])
  // Half started: what runs already ends with this process.
  if (stack === undefined) process.exit(exitCode)
  const holder: StackHolder = { stack }
  if (stack.unavailable.length > 0) {
    for (const part of stack.unavailable) process.stderr.write(`error: not on this machine: ${part}\n`)
    await stopStack(stack)
    return EXIT_UNAVAILABLE
  }
  const folder = await mkdtemp(join(tmpdir(), `stream-ingest-chaos-${settings.seed}-`))
  let isGood = false
  try {
    isGood = await wreakHavoc(settings, holder, folder, signal)
    return isGood ? 0 : EXIT_FAILURE
  } catch (error) {
    if (exitCode !== undefined) return exitCode
    process.stderr.write(`the run broke off: ${error instanceof Error ? error.stack : String(error)}\n`)
    return EXIT_FAILURE
  } finally {
    await stopStack(holder.stack)
    if (isGood && !settings.keep) await rm(folder, { recursive: true, force: true })
    else say(`logs and configurations: ${folder}`)
    if (!isGood && exitCode === undefined) say(`the same plan again: ${repeatCommand(settings)}`)
  }
}

function readSettings(argv: readonly string[], env: NodeJS.ProcessEnv): Settings | string {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string', default: env.CHAOS_SEED || String(Math.floor(Math.random() * SEED_MAX)) },
      minutes: { type: 'string', default: '0' },
      lake: { type: 'string', default: 's3' },
      s3: { type: 'string', default: 's3proxy' },
      keep: { type: 'boolean', default: false },
    },
  })
  const { lake, s3, keep } = values
  const seed = Number(values.seed)
  const minutes = Number(values.minutes)
  if (!Number.isInteger(seed)) return `\`--seed ${values.seed}\` is no whole number`
  if (!(minutes >= 0)) return `\`--minutes ${values.minutes}\` is no number of minutes`
  if (lake !== 's3' && lake !== 'local') return `\`--lake ${lake}\`: there are s3 and local`
  if (s3 !== 's3proxy' && s3 !== 'versitygw') return `\`--s3 ${s3}\`: there are s3proxy and versitygw`
  return { seed, minutes, lake, s3, keep }
}

function repeatCommand({ seed, minutes, lake, s3 }: Settings): string {
  const options = [`--seed ${seed}`]
  if (minutes > 0) options.push(`--minutes ${minutes}`)
  if (lake !== 's3') options.push(`--lake ${lake}`)
  if (s3 !== 's3proxy') options.push(`--s3 ${s3}`)
  return `npm run test:chaos -- ${options.join(' ')}`
}

/** The stack as it stands: a broker that was started again has another process id. */
interface StackHolder {
  stack: Stack
}

/** Returns whether the guarantee held. */
async function wreakHavoc(
  settings: Settings,
  holder: StackHolder,
  folder: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { seed } = settings
  const { kafka, python } = holder.stack
  if (kafka === undefined || python === undefined) throw new Error('the stack is not complete')
  const plan = new ChaosPlan(seed)
  const ledger = new Ledger(plan.partitionCount)
  const { lake, table, uri } = lakeOf(settings, holder.stack, folder)
  const startedMs = performance.now()
  const filler = await TopicFiller.start({
    bootstrapServers: kafka.bootstrapServers,
    topic: TOPIC,
    ledger,
    random: new SeededRandom(seed).fork('topic'),
  })
  // Whatever ends the run early ends its processes' fates too, before they are cleared away.
  const breakOff = new AbortController()
  const options = { seed, folder, lake, filler, kafka, say }
  const chaos = await Chaos.start({
    ...options,
    signal: AbortSignal.any([signal, breakOff.signal]),
    kafkaRestarted: restarted => {
      holder.stack = { ...holder.stack, kafka: restarted }
    },
  })
  let turns: Promise<void> = Promise.resolve()
  try {
    filler.run()
    turns = takeTurns(plan, chaos, settings, startedMs)
    await Promise.race([turns, filler.failure])
    say('the last messages, and a process alone to the end')
    const endOffsets = await filler.finish()
    await chaos.finish()
    const s3 = lake.endpoint === null ? undefined : s3Access(holder.stack)
    const proof = await proofOrProblem({ table, ledger, endOffsets, python, uri, ...(s3 && { s3 }) })
    signal.throwIfAborted()
    const broken = [...chaos.tally.violations, ...proof.problems]
    const problems = broken.length > 0 ? broken : exercise(chaos)
    report(chaos, ledger, proof, performance.now() - startedMs)
    for (const problem of problems) process.stderr.write(`  ✗ ${problem}\n`)
    if (problems.length === 0) return true
    await saveLog(table, join(folder, 'delta-log'))
    return false
  } finally {
    breakOff.abort()
    await turns.catch(() => undefined)
    await chaos.close()
    await filler.close()
    await table.close()
  }
}

/** A table that cannot even be read is the worst of outcomes, and one to report like the others. */
async function proofOrProblem(input: ProofInput): Promise<Proof> {
  try {
    return await proveExactlyOnce(input)
  } catch (error) {
    const problem = `the table cannot be read: ${error instanceof Error ? error.stack : String(error)}`
    const nothing = { version: -1, rowCount: 0, fileCount: 0, checkpointCount: 0, orphanCount: 0 }
    return { ...nothing, problems: [problem] }
  }
}

async function takeTurns(
  plan: ChaosPlan,
  chaos: Chaos,
  settings: Settings,
  startedMs: number,
): Promise<void> {
  const take = async (turn: Turn, of: string): Promise<void> => {
    if (chaos.tally.violations.length >= VIOLATIONS_MAX) return
    const fates = turn.writers.map(({ fate }) => (fate.kind === 'kill-point' ? fate.point : fate.kind))
    say(`turn ${turn.index + 1}${of} · ${chaos.killCount} kills · ${fates.join(', ')}`)
    await chaos.take(turn)
  }
  for (const turn of plan.turns) await take(turn, `/${plan.turns.length}`)
  const isTimeLeft = (): boolean => performance.now() - startedMs < settings.minutes * 60_000
  while (isTimeLeft() && chaos.tally.violations.length < VIOLATIONS_MAX) await take(plan.another(), '')
  for (const point of KILL_POINTS) {
    for (let extra = 0; extra < REACHING_TURNS_MAX; extra++) {
      if ((chaos.tally.pointKills.get(point) ?? 0) >= POINT_KILLS_MIN) break
      await take(plan.reaching(point), '')
    }
  }
}

function lakeOf(
  settings: Settings,
  stack: Stack,
  folder: string,
): { readonly lake: Lake; readonly table: ObjectStore; readonly uri: string } {
  if (settings.lake === 'local') {
    const path = join(folder, 'lake')
    const section = `local: { path: ${JSON.stringify(path)} }`
    const uri = join(path, TABLE)
    return {
      lake: { kind: 'local', section: () => section, env: {}, endpoint: null },
      table: openStore(uri),
      uri,
    }
  }
  const { s3 } = stack
  if (s3 === undefined) throw new Error('the stack has no S3 server')
  const { bucket, region, accessKey, secretKey, endpoint } = s3
  const prefix = 'chaos'
  const uri = `s3://${bucket}/${prefix}/${TABLE}`
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey }
  const table = openStore(uri, { s3: { region, endpoint, forcePathStyle: true, credentials } })
  const lake: Lake = {
    kind: 's3',
    section: proxied =>
      `s3: { bucket: ${bucket}, prefix: ${prefix}, region: ${region}, endpoint: "${proxied}", force_path_style: true }`,
    env: { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey },
    endpoint,
  }
  return { lake, table, uri }
}

function s3Access(stack: Stack): { endpoint: string; accessKey: string; secretKey: string; region: string } {
  const { endpoint, accessKey, secretKey, region } = stack.s3 as NonNullable<Stack['s3']>
  return { endpoint, accessKey, secretKey, region }
}

/** A run that did not do what it is there for proves nothing. */
function exercise(chaos: Chaos): string[] {
  const { tally, killCount } = chaos
  const problems: string[] = []
  if (killCount < KILLS_MIN) problems.push(`only ${killCount} kills of ${KILLS_MIN}`)
  for (const point of KILL_POINTS) {
    const count = tally.pointKills.get(point) ?? 0
    if (count < POINT_KILLS_MIN) problems.push(`${point} was reached ${count} times`)
  }
  if (tally.conflictCount === 0) problems.push('no two processes ever met')
  if (tally.wokenCount === 0) problems.push('no process slept while another committed')
  return problems
}

function report(chaos: Chaos, ledger: Ledger, proof: Proof, elapsedMs: number): void {
  const { tally } = chaos
  const list = (counts: ReadonlyMap<string, number>): string =>
    [...counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || 'none'
  say(`
${chaos.killCount} kills in ${Math.round(elapsedMs / 1000)} s: ${list(tally.kills)}
${tally.processCount} processes: ${tally.drainedCount} ended by themselves; failures: ${list(tally.failures)}
${tally.wokenCount} paused while others committed, ${tally.wokenFencedCount} of them fenced; ${tally.conflictCount} conflicts
${chaos.requestCount} store requests, faults: ${list(chaos.faultCounts)}
topic: ${ledger.rowCount} records with a value, ${ledger.tombstoneCount} tombstones, ${ledger.abortedCount} aborted
table: version ${proof.version}, ${proof.rowCount} rows, ${proof.fileCount} files, ${proof.checkpointCount} checkpoints, ${proof.orphanCount} orphaned files
${proof.problems.length === 0 ? '✓ every message once: by our own reading, delta-rs and DuckDB' : '✗ the table is not what was sent:'}`)
}

/** What a person needs to find out how it came about. */
async function saveLog(table: ObjectStore, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  for await (const { key } of table.list('_delta_log/')) {
    const bytes = await table.get(key)
    if (bytes !== null) await writeFile(join(folder, key.slice(11)), bytes)
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

process.exitCode = await main(process.argv.slice(2), process.env)
