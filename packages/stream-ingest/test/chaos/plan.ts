/**
 * What happens in a chaos run, turn by turn, all of it decided by the seed before anything is started.
 *
 * A turn starts one to three `run` processes at once on the same table, and each meets its fate. What the processes get
 * done between two signals is up to the machine; which signals, faults and settings there are is not.
 *
 * @module
 */
import type { ParquetCodec } from '@stream-ingest/delta'
import { KILL_POINTS, type KillPoint } from '../../src/testing/kill-point.ts'
import { SeededRandom } from './seeded-random.ts'

/** Times that each kill point is planned in the basic part. */
export const KILLS_PER_POINT = 3
/** Kills at any moment in the basic part. */
export const RANDOM_KILLS = 30
export const ZOMBIES = 6
const DRAINS = 3
const BOUNDED_RUNS = 2
const OCCURRENCE_MAX = 3
/** The first processes find no table, so that creating it is under fire too. */
const FIRST_WRITERS = 3

export type Fate =
  /** Kills itself at the n-th time that it passes a write of the commit path. */
  | { readonly kind: 'kill-point'; readonly point: KillPoint; readonly occurrence: number }
  /** SIGKILL, counted from the process's start or from its first word that it is at work. */
  | { readonly kind: 'kill'; readonly since: 'spawn' | 'started'; readonly afterMs: number }
  /**
   * SIGSTOP, and SIGCONT once another process has committed; after `livesOnMs` SIGKILL. `held` and `sent`: stopped at a
   * commit's request, which reaches the store after the pause or at once; `any`: stopped after `afterMs`.
   */
  | {
      readonly kind: 'zombie'
      readonly moment: 'held' | 'sent' | 'any'
      readonly afterMs: number
      readonly livesOnMs: number
    }
  /** SIGTERM after this long, and not before the others of the turn have met their fate; has to end by itself. */
  | { readonly kind: 'drain'; readonly afterMs: number }
  /** `--until-latest`; has to end by itself. */
  | { readonly kind: 'bounded' }

/** Settings that may differ from process to process on one table. */
export interface WriterPlan {
  readonly fate: Fate
  readonly startAfterMs: number
  readonly batchSize: number
  readonly batchTimeoutMs: number
  readonly checkpointInterval: number
  readonly compression: ParquetCodec
  readonly fetchMaxPartitionBytes: number
  /** Zero and one: the main thread decodes. */
  readonly workers: number
}

/** `crash`: SIGKILL and a new start; `freeze`: SIGSTOP for `forMs`. */
export interface BrokerTrouble {
  readonly kind: 'crash' | 'freeze'
  readonly afterMs: number
  readonly forMs: number
}

export interface Turn {
  readonly index: number
  readonly writers: readonly WriterPlan[]
  /** Of the requests to the store: how many meet a fault. */
  readonly faultShare: number
  readonly broker: BrokerTrouble | null
}

export class ChaosPlan {
  readonly seed: number
  readonly partitionCount: number
  /** Every kill point several times, and at least fifty kills. */
  readonly turns: readonly Turn[]
  readonly #random: SeededRandom
  #nextIndex: number

  constructor(seed: number) {
    this.seed = seed
    const random = new SeededRandom(seed).fork('plan')
    this.#random = random
    this.partitionCount = random.between(2, 5)
    this.turns = planTurns(random)
    this.#nextIndex = this.turns.length
  }

  /** One more turn, for runs that go on longer. */
  another(): Turn {
    const random = this.#random
    const index = this.#nextIndex++
    if (random.chance(0.1)) return turnOf(index, planZombie(random, zombieFate(random)), random)
    if (random.chance(0.05)) return brokerTurn(index, random.chance(0.5) ? 'crash' : 'freeze', random)
    const fates = Array.from({ length: turnSize(random) }, () =>
      random.chance(0.5) ? pointFate(random.choose(KILL_POINTS), random) : randomKill(random),
    )
    return turnOf(index, fates, random)
  }

  /** One process alone, no faults: for a kill point that others kept from being reached. */
  reaching(point: KillPoint): Turn {
    const fate = { kind: 'kill-point', point, occurrence: 1 } as const
    const writer = { ...planWriter(fate, this.#random), startAfterMs: 0, checkpointInterval: 1 }
    return { index: this.#nextIndex++, writers: [writer], faultShare: 0, broker: null }
  }
}

function planTurns(random: SeededRandom): Turn[] {
  const kills: Fate[] = [
    ...KILL_POINTS.flatMap(point => Array.from({ length: KILLS_PER_POINT }, () => pointFate(point, random))),
    ...Array.from({ length: RANDOM_KILLS }, () => randomKill(random)),
    ...Array.from({ length: DRAINS }, () => drain(random)),
    ...Array.from({ length: BOUNDED_RUNS }, (): Fate => ({ kind: 'bounded' })),
  ]
  const fates = random.shuffled(kills)
  const groups: Fate[][] = []
  for (let size = FIRST_WRITERS; fates.length > 0; size = turnSize(random)) groups.push(fates.splice(0, size))
  const first = groups.shift() as Fate[]
  const moments = ['held', 'sent', 'any'] as const
  const zombies = Array.from({ length: ZOMBIES }, (_, i) =>
    planZombie(random, { ...zombieFate(random), moment: moments[i % moments.length]! }),
  )
  const rest = random.shuffled([...groups, ...zombies])
  const turns = [first, ...rest].map((group, index) => turnOf(index, group, random))
  for (const kind of ['crash', 'freeze'] as const) {
    turns.splice(random.between(1, turns.length), 0, brokerTurn(0, kind, random))
  }
  return turns.map((turn, index) => ({ ...turn, index }))
}

function turnOf(index: number, fates: readonly Fate[], random: SeededRandom): Turn {
  return {
    index,
    writers: fates.map(fate => planWriter(fate, random)),
    faultShare: random.choose([0, 0.03, 0.08, 0.15]),
    broker: null,
  }
}

/** Whoever is at work when the broker goes must ride it out. */
function brokerTurn(index: number, kind: BrokerTrouble['kind'], random: SeededRandom): Turn {
  const fates: Fate[] = [
    drain(random),
    { kind: 'kill', since: 'started', afterMs: random.between(1000, 6000) },
  ]
  return {
    ...turnOf(index, fates, random),
    broker: { kind, afterMs: random.between(1000, 2500), forMs: random.between(1000, 4000) },
  }
}

function turnSize(random: SeededRandom): number {
  return random.choose([1, 2, 2, 2, 3])
}

function pointFate(point: KillPoint, random: SeededRandom): Fate {
  return { kind: 'kill-point', point, occurrence: random.between(1, OCCURRENCE_MAX) }
}

function randomKill(random: SeededRandom): Fate {
  return random.chance(0.15)
    ? { kind: 'kill', since: 'spawn', afterMs: random.between(50, 1500) }
    : { kind: 'kill', since: 'started', afterMs: random.between(0, 2200) }
}

function drain(random: SeededRandom): Fate {
  return { kind: 'drain', afterMs: random.between(200, 2500) }
}

function zombieFate(random: SeededRandom): Fate & { kind: 'zombie' } {
  return {
    kind: 'zombie',
    moment: random.choose(['held', 'sent', 'any']),
    afterMs: random.between(0, 1200),
    livesOnMs: random.between(0, 1500),
  }
}

/** With somebody who commits while it sleeps. */
function planZombie(random: SeededRandom, fate: Fate): Fate[] {
  return random.chance(0.3) ? [fate, drain(random), randomKill(random)] : [fate, drain(random)]
}

function planWriter(fate: Fate, random: SeededRandom): WriterPlan {
  // Who has to come to the end takes large steps.
  const isLarge = fate.kind === 'bounded' || random.chance(0.15)
  return {
    fate,
    startAfterMs: random.between(0, 600),
    batchSize: isLarge ? random.between(500, 4000) : random.between(10, 400),
    batchTimeoutMs: random.between(50, 1000),
    checkpointInterval: random.between(1, 5),
    compression: random.choose(['snappy', 'zstd', 'gzip', 'lz4_raw', 'none']),
    fetchMaxPartitionBytes: random.choose([1024, 16_384, 1_048_576]),
    workers: random.choose([0, 2]),
  }
}
