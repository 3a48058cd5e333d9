/**
 * Carries a plan out: processes on one table, their fates, the faults of the store, the broker's troubles.
 *
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type KafkaServer, restartKafkaAfterCrash } from '../../../../scripts/stack/kafka.ts'
import { signalProcess } from '../../../../scripts/stack/managed-process.ts'
import type { KillPoint } from '../../src/testing/kill-point.ts'
import { FaultDealer, isCommit } from './fault-dealer.ts'
import { type FaultKind, FaultProxy, type ProxiedRequest } from './fault-proxy.ts'
import type { BrokerTrouble, Fate, Turn, WriterPlan } from './plan.ts'
import type { TopicFiller } from './topic-filler.ts'
import { writerConfig } from './writer-config.ts'
import { WriterProcess } from './writer-process.ts'

/** Longest wait for a fate that the process itself has to reach; then it is killed as it stands. */
const FATE_WAIT_MS_MAX = 10_000
/** Longest silence of a process that has to end by itself; on a loaded machine too it says something now and then. */
const SILENCE_MS_MAX = 60_000
const END_WAIT_MS_MAX = 15 * 60_000
/** Longest sleep of a paused process. */
const SLEEP_MS_MAX = 10_000

/** How a process may end beside by our hand: the store did not answer, or others were always first. */
const EXPECTED_FAILURES =
  /^(STORE_UNAVAILABLE|STORE_THROTTLED|DELTA_COMMIT_UNKNOWN|DELTA_COMMIT_CONTENTION|PIPELINE_FENCED)$/
/** At the first contact a broker that is away is said at once; who is at work rides it out. */
const EXPECTED_AT_START = /^(KAFKA_UNREACHABLE|KAFKA_PROTOCOL|KAFKA_NO_LEADER)$/

/** What a lake looks like to a process: the section of its configuration, and its environment. */
export interface Lake {
  readonly kind: 's3' | 'local'
  readonly section: (endpoint: string | null) => string
  readonly env: NodeJS.ProcessEnv
  /** Of the server itself; null where there is none to put faults before. */
  readonly endpoint: string | null
}

export interface ChaosOptions {
  readonly seed: number
  readonly folder: string
  readonly lake: Lake
  readonly filler: TopicFiller
  readonly kafka: KafkaServer
  /** Somebody asked to end: everything is left as it stands. */
  readonly signal: AbortSignal
  readonly say: (text: string) => void
  /** The broker was started again; the former one's id is nobody's. */
  readonly kafkaRestarted: (kafka: KafkaServer) => void
}

export interface ChaosTally {
  readonly kills: Map<string, number>
  readonly pointKills: Map<KillPoint, number>
  readonly failures: Map<string, number>
  /** What must never happen, with the log to look at. */
  readonly violations: string[]
  processCount: number
  commitCount: number
  conflictCount: number
  checkpointCount: number
  /** Paused processes that woke after another one had committed, and how many of them then met it. */
  wokenCount: number
  wokenFencedCount: number
  drainedCount: number
}

/** A process paused at a commit's request. */
interface Trap {
  readonly holds: boolean
  readonly sprung: PromiseWithResolvers<void>
  readonly released: PromiseWithResolvers<void>
}

export class Chaos {
  readonly tally: ChaosTally = {
    kills: new Map(),
    pointKills: new Map(),
    failures: new Map(),
    violations: [],
    processCount: 0,
    commitCount: 0,
    conflictCount: 0,
    checkpointCount: 0,
    wokenCount: 0,
    wokenFencedCount: 0,
    drainedCount: 0,
  }
  readonly #options: ChaosOptions
  readonly #alive = new Set<WriterProcess>()
  readonly #traps = new Map<string, Trap>()
  #kafka: KafkaServer
  #proxy: FaultProxy | null = null
  readonly #faults: FaultDealer

  private constructor(options: ChaosOptions) {
    this.#options = options
    this.#kafka = options.kafka
    this.#faults = new FaultDealer(options.seed)
  }

  static async start(options: ChaosOptions): Promise<Chaos> {
    const chaos = new Chaos(options)
    const { endpoint } = options.lake
    if (endpoint !== null) {
      chaos.#proxy = await FaultProxy.start({
        upstream: endpoint,
        decide: request => chaos.#faults.decide(request),
        gate: request => chaos.#gate(request),
      })
    }
    return chaos
  }

  get killCount(): number {
    return [...this.tally.kills.values()].reduce((sum, count) => sum + count, 0)
  }

  get faultCounts(): ReadonlyMap<FaultKind, number> {
    return this.#proxy?.faultCounts ?? new Map()
  }

  get requestCount(): number {
    return this.#proxy?.requestCount ?? 0
  }

  /** Starts the turn's processes and returns when each has met its fate. */
  async take(turn: Turn): Promise<void> {
    this.#options.filler.allowMore()
    this.#faults.begin(turn.index, turn.faultShare)
    // `drain` waits for those whose fate does not wait for it.
    const others = turn.writers
      .map((plan, index) => ({ plan, index }))
      .filter(({ plan }) => plan.fate.kind !== 'drain')
      .map(({ plan, index }) => this.#live(turn, index, plan, Promise.resolve()))
    const othersDone = Promise.allSettled(others)
    const drains = turn.writers
      .map((plan, index) => ({ plan, index }))
      .filter(({ plan }) => plan.fate.kind === 'drain')
      .map(({ plan, index }) => this.#live(turn, index, plan, othersDone))
    const trouble = turn.broker === null ? [] : [this.#trouble(turn.broker)]
    const outcomes = await Promise.allSettled([...others, ...drains, ...trouble])
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }

  /** A process alone that has all to itself and reads to the end. */
  async finish(): Promise<void> {
    this.#faults.end()
    await this.#proxy?.settled()
    const plan: WriterPlan = {
      fate: { kind: 'bounded' },
      startAfterMs: 0,
      batchSize: 20_000,
      batchTimeoutMs: 1000,
      checkpointInterval: 10,
      compression: 'snappy',
      fetchMaxPartitionBytes: 1_048_576,
      workers: 0,
    }
    const writer = await this.#start('final', plan)
    const end = await this.#endByItself(writer)
    if (end !== 'exit code 0')
      this.#violation(writer, `the final run ended with ${end ?? 'nothing: it hangs'}`)
    await this.#bury(writer)
  }

  /** Ends every process that is still there. */
  async close(): Promise<void> {
    for (const trap of this.#traps.values()) trap.released.resolve()
    await Promise.all([...this.#alive].map(writer => writer.stop()))
    await this.#proxy?.close()
  }

  async #live(turn: Turn, index: number, plan: WriterPlan, othersDone: Promise<unknown>): Promise<void> {
    const { signal } = this.#options
    await delay(plan.startAfterMs, undefined, { signal })
    const name = `turn-${turn.index}-${'abc'[index]}`
    const trap = this.#trapFor(name, plan.fate)
    const writer = await this.#start(name, plan)
    try {
      await this.#meetFate(writer, plan.fate, trap, othersDone)
    } finally {
      trap?.released.resolve()
      this.#traps.delete(name)
    }
    await this.#bury(writer)
  }

  async #start(name: string, plan: WriterPlan): Promise<WriterProcess> {
    const { folder, lake } = this.#options
    const configFile = join(folder, `${name}.yaml`)
    const section = lake.section(this.#proxy?.endpoint ?? null)
    await writeFile(configFile, writerConfig(plan, this.#kafka.bootstrapServers, section))
    const { fate } = plan
    const writer = await WriterProcess.start({
      name,
      configFile,
      logPath: join(folder, `${name}.log`),
      untilLatest: fate.kind === 'bounded',
      env: {
        ...process.env,
        ...lake.env,
        AWS_SDK_UA_APP_ID: name,
        ...(fate.kind === 'kill-point' && { STREAM_INGEST_KILL_AT: `${fate.point}:${fate.occurrence}` }),
      },
    })
    this.#alive.add(writer)
    this.tally.processCount++
    return writer
  }

  async #meetFate(
    writer: WriterProcess,
    fate: Fate,
    trap: Trap | null,
    othersDone: Promise<unknown>,
  ): Promise<void> {
    const { signal } = this.#options
    switch (fate.kind) {
      case 'kill-point': {
        const started = await writer.waitFor('started', 0, FATE_WAIT_MS_MAX, signal)
        if (started) await writer.ended(FATE_WAIT_MS_MAX, signal)
        if (writer.end === 'signal SIGKILL') {
          this.#count(this.tally.kills, `at ${fate.point}`)
          this.#count(this.tally.pointKills, fate.point)
        } else this.#kill(writer, 'waiting for its kill point')
        return
      }
      case 'kill':
        if (fate.since === 'started') await writer.waitFor('started', 0, FATE_WAIT_MS_MAX, signal)
        await writer.ended(fate.afterMs, signal)
        this.#kill(writer, fate.since === 'started' ? 'at any moment' : 'while starting')
        return
      case 'zombie':
        return this.#sleepAndWake(writer, fate, trap)
      case 'drain':
        await writer.waitFor('started', 0, FATE_WAIT_MS_MAX, signal)
        await writer.ended(fate.afterMs, signal)
        await othersDone
        writer.signal('SIGTERM')
        await this.#mustEnd(writer)
        return
      case 'bounded':
        await this.#mustEnd(writer)
    }
  }

  async #mustEnd(writer: WriterProcess): Promise<void> {
    const end = await this.#endByItself(writer)
    if (end === undefined) {
      this.#violation(writer, `neither ends nor says a word for ${SILENCE_MS_MAX / 1000} s`)
      this.#kill(writer, 'hanging')
    } else if (end === 'exit code 0') this.tally.drainedCount++
  }

  /** What ended it; undefined where it does nothing any more, or never comes to an end. */
  async #endByItself(writer: WriterProcess): Promise<string | undefined> {
    const deadline = performance.now() + END_WAIT_MS_MAX
    for (let said = -1; performance.now() < deadline; ) {
      const end = await writer.ended(SILENCE_MS_MAX, this.#options.signal)
      if (end !== undefined) return end
      const { length } = await writer.lines()
      if (length === said) return undefined
      said = length
    }
    return undefined
  }

  async #sleepAndWake(
    writer: WriterProcess,
    fate: Fate & { kind: 'zombie' },
    trap: Trap | null,
  ): Promise<void> {
    const { signal } = this.#options
    await writer.waitFor('started', 0, FATE_WAIT_MS_MAX, signal)
    if (trap === null) {
      await writer.ended(fate.afterMs, signal)
      writer.signal('SIGSTOP')
    } else {
      // The gate has it stopped.
      await Promise.race([trap.sprung.promise, writer.ended(FATE_WAIT_MS_MAX, signal)])
    }
    const conflictsBefore = await writer.count('conflict')
    const overtaken = await this.#othersCommit(writer)
    writer.signal('SIGCONT')
    trap?.released.resolve()
    await writer.ended(fate.livesOnMs, signal)
    if (overtaken) {
      this.tally.wokenCount++
      const met = await writer.waitFor('conflict', conflictsBefore, FATE_WAIT_MS_MAX, signal)
      if (met) this.tally.wokenFencedCount++
    }
    this.#kill(writer, 'after a pause')
  }

  /** Waits until another process has committed; false where none does in time. */
  async #othersCommit(sleeper: WriterProcess): Promise<boolean> {
    const { signal } = this.#options
    const deadline = performance.now() + SLEEP_MS_MAX
    const before = new Map<WriterProcess, number>()
    while (performance.now() < deadline) {
      for (const writer of this.#alive) {
        if (writer === sleeper) continue
        const count = await writer.count('commit')
        // Who starts meanwhile has committed nothing before.
        if (count > (before.get(writer) ?? (before.size === 0 ? count : 0))) return true
        if (!before.has(writer)) before.set(writer, count)
      }
      await delay(50, undefined, { signal })
    }
    return false
  }

  #kill(writer: WriterProcess, how: string): void {
    if (writer.signal('SIGKILL')) this.#count(this.tally.kills, how)
  }

  /** Looks at how a process ended and at what it said. */
  async #bury(writer: WriterProcess): Promise<void> {
    const end = await writer.ended(SILENCE_MS_MAX, this.#options.signal)
    this.#alive.delete(writer)
    const lines = await writer.lines()
    const count = (event: string): number => lines.filter(line => line.event === event).length
    this.tally.commitCount += count('commit')
    this.tally.conflictCount += count('conflict')
    this.tally.checkpointCount += count('checkpoint')
    if (count('offsets-lost') > 0) this.#violation(writer, 'lost offsets')
    if (count('rejected') > 0) this.#violation(writer, 'rejected a record')
    for (const { event, error } of lines) {
      if (event !== 'failed' || error === undefined || EXPECTED_FAILURES.test(error.code)) continue
      if (count('started') === 0 && EXPECTED_AT_START.test(error.code)) continue
      this.#violation(writer, `failed with ${error.code}: ${error.message}`)
    }
    if (end === 'exit code 0' || end === 'signal SIGKILL') return
    const failure = lines.find(line => line.event === 'failed')?.error?.code
    if (failure === undefined) this.#violation(writer, `ended with ${end} and without a word`)
    this.#count(this.tally.failures, failure ?? 'unknown')
  }

  #violation(writer: WriterProcess, text: string): void {
    this.tally.violations.push(`${writer.name}: ${text}`)
  }

  #count<K>(counts: Map<K, number>, key: K): void {
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }

  async #trouble(trouble: BrokerTrouble): Promise<void> {
    const { filler, signal, say } = this.#options
    await delay(trouble.afterMs, undefined, { signal })
    for (const writer of this.#alive) await writer.waitFor('started', 0, FATE_WAIT_MS_MAX, signal)
    await filler.pause()
    say(`  broker: ${trouble.kind}`)
    if (trouble.kind === 'freeze') {
      signalProcess(this.#kafka.process, 'SIGSTOP')
      try {
        await delay(trouble.forMs, undefined, { signal })
      } finally {
        signalProcess(this.#kafka.process, 'SIGCONT')
      }
      await filler.resume(false)
      return
    }
    this.#kafka = await restartKafkaAfterCrash(this.#kafka)
    this.#options.kafkaRestarted(this.#kafka)
    await filler.resume(true)
    // Time to show that who was at work goes on.
    await delay(trouble.forMs, undefined, { signal })
  }

  #trapFor(name: string, fate: Fate): Trap | null {
    if (fate.kind !== 'zombie' || fate.moment === 'any' || this.#proxy === null) return null
    const trap = {
      holds: fate.moment === 'held',
      sprung: Promise.withResolvers<void>(),
      released: Promise.withResolvers<void>(),
    }
    this.#traps.set(name, trap)
    return trap
  }

  /** Stops a process that has a trap set at its next commit's request. */
  #gate(request: ProxiedRequest): Promise<void> | undefined {
    const trap = this.#traps.get(request.sender)
    if (trap === undefined || !isCommit(request)) return undefined
    // The table's creation is no commit of progress.
    if (request.path.endsWith('/00000000000000000000.json')) return undefined
    this.#traps.delete(request.sender)
    for (const writer of this.#alive) if (writer.name === request.sender) writer.signal('SIGSTOP')
    trap.sprung.resolve()
    return trap.holds ? trap.released.promise : undefined
  }
}
