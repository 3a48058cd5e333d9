/**
 * A random history of one table, made by several writers at once on a store that fails, and what the table must hold
 * after it.
 *
 * Each commit carries a `txnId`, under which the writer noted beforehand what the commit would do to the rows. What was
 * really committed is read from the log, so that it does not matter which answers were lost and which writers died: the
 * model is the noted effects of the commits that are there, in their order. That every acknowledged commit is among them,
 * and no refused one, is part of what is shown.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import {
  array,
  checkTable,
  field,
  InjectedCrash,
  loadSnapshot,
  MemoryObjectStore,
  primitive,
  type Runtime,
  readCommit,
  type StoreFault,
  scanTable,
  struct,
  type TableRow,
  vacuumTable,
} from '@stream-ingest/delta'
import { HistoryWriter } from './history-writer.ts'

export const INITIAL_SCHEMA = struct([
  field('id', primitive('long'), false),
  field('part', primitive('integer')),
  field('name', primitive('string')),
  field('tags', array(primitive('string'), true)),
])

const MS_PER_DAY = 86_400_000

/** Mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** What a commit does to the rows, by `id`. */
export interface Effect {
  readonly added: readonly TableRow[]
  readonly removedIds: readonly bigint[]
  /** Whatever is there goes. */
  readonly replacesAll?: boolean
}

/** What the writer was told of its commit; `unknown` after a crash or a store that does not answer. */
export type Answer = 'committed' | 'refused' | 'unknown'

export class History {
  readonly random: () => number
  readonly runtime: Runtime
  readonly root: MemoryObjectStore
  readonly properties: Readonly<Record<string, string>>
  readonly isPartitioned: boolean
  /** Counted, so that a run in which nothing happens is noticed. */
  readonly met = new Map<string, number>()
  readonly #effects = new Map<string, Effect>()
  readonly #answers = new Map<string, Answer>()
  readonly #rows = new Map<bigint, TableRow>()
  #nextVersion = 0
  #nowMs = 1_800_000_000_000
  #isFaulty = false
  readonly #faultShare: number

  constructor(seed: number) {
    this.random = seededRandom(seed)
    let ids = 0
    this.runtime = {
      now: () => this.#nowMs,
      monotonicMs: () => this.#nowMs,
      random: this.random,
      uuid: () => `00000000-0000-4000-8000-${String(ids++).padStart(12, '0')}`,
      delay: async (ms, signal) => {
        this.#nowMs += Math.ceil(ms)
        await setImmediate()
        signal?.throwIfAborted()
      },
    }
    this.#faultShare = this.random() * 0.05
    this.root = new MemoryObjectStore({
      now: this.runtime.now,
      wait: ms => this.runtime.delay(ms),
      faults: ({ operation }) => this.#fault(operation),
    })
    this.isPartitioned = this.random() < 0.6
    this.properties = this.#randomProperties()
  }

  pick(bound: number): number {
    return Math.floor(this.random() * bound)
  }

  count(what: string): void {
    this.met.set(what, (this.met.get(what) ?? 0) + 1)
  }

  /** Noted before the commit is tried. */
  note(txnId: string, effect: Effect): void {
    this.#effects.set(txnId, effect)
    this.#answers.set(txnId, 'unknown')
  }

  answer(txnId: string, answer: Answer): void {
    this.#answers.set(txnId, answer)
  }

  /** Several writers at once, each for some steps, on a store that fails; then peace, in which the table is compared. */
  async run(roundCount: number, stepCount: number): Promise<void> {
    const writers = Array.from({ length: 2 + this.pick(3) }, (_, i) => new HistoryWriter(this, `writer-${i}`))
    await writers[0]!.create()
    for (let round = 0; round < roundCount; round++) {
      // The first steps are in peace, so that there is something to break.
      this.#isFaulty = round > 0
      await Promise.all(writers.map(writer => writer.run(round === 0 ? 1 : stepCount)))
      this.#isFaulty = false
      this.root.deliverLateWrites()
      await this.compare()
      if (this.random() < 0.5) await this.#passTime()
    }
  }

  /** Nobody is writing: what is old and no part of the table may go. */
  async #passTime(): Promise<void> {
    this.#nowMs += (1 + this.pick(20)) * MS_PER_DAY
    const { filesDeleted } = await vacuumTable(this.root, { runtime: this.runtime })
    if (filesDeleted > 0) this.count('vacuumed')
    await this.compare()
  }

  /** The rows, and the soundness, of the table against the model. */
  async compare(): Promise<void> {
    await this.#replay()
    const snapshot = await loadSnapshot(this.root, { nowMs: this.#nowMs })
    assert(snapshot !== null)
    const columns = snapshot.state.schema.fields.map(f => f.name)
    const rows: TableRow[] = []
    for await (const batch of scanTable(snapshot)) rows.push(...batch)
    const actual = rows.sort(byId).map(row => withColumns(row, columns))
    const expected = [...this.#rows.values()].sort(byId).map(row => withColumns(row, columns))
    assert.deepEqual(actual, expected, `rows of version ${snapshot.version}`)
    const { findings } = await checkTable(this.root, { deep: true, nowMs: this.#nowMs })
    assert.deepEqual(findings, [], `version ${snapshot.version} is not sound`)
  }

  /** Takes over the effects of the commits that came since the last time. */
  async #replay(): Promise<void> {
    const seen = new Set<string>()
    for (;;) {
      const actions = await readCommit(this.root, this.#nextVersion)
      if (actions === null) break
      this.#nextVersion++
      for (const action of actions) {
        if (!('commitInfo' in action) || action.commitInfo.txnId === undefined) continue
        const { txnId } = action.commitInfo
        assert.notEqual(this.#answers.get(txnId), 'refused', `${txnId} was refused and is in the log`)
        assert(!seen.has(txnId), `${txnId} is in the log twice`)
        seen.add(txnId)
        const effect = this.#effects.get(txnId)
        if (effect === undefined) continue
        if (effect.replacesAll === true) this.#rows.clear()
        for (const id of effect.removedIds) assert(this.#rows.delete(id), `${id} is deleted twice`)
        for (const row of effect.added) {
          const id = row.id as bigint
          assert(!this.#rows.has(id), `${id} is added twice`)
          this.#rows.set(id, row)
        }
      }
    }
    for (const [txnId, answer] of this.#answers) {
      if (answer === 'committed') assert(seen.has(txnId), `${txnId} was acknowledged and is not in the log`)
    }
    this.#answers.clear()
  }

  #fault(operation: string): StoreFault | undefined {
    if (!this.#isFaulty || this.random() > this.#faultShare) return undefined
    const faults: StoreFault[] = [
      { kind: 'crash', moment: 'before' },
      { kind: 'slow', delayMs: 1 + this.pick(50) },
    ]
    if (operation === 'put') faults.push({ kind: 'crash', moment: 'after' }, { kind: 'partial-upload' })
    else if (operation === 'putIfAbsent') {
      faults.push(
        { kind: 'crash', moment: 'after' },
        { kind: 'lost-answer' },
        { kind: 'own-earlier-write' },
        { kind: 'conflict' },
        { kind: 'timeout' },
        { kind: 'late-write' },
      )
    } else faults.push({ kind: 'throttled' })
    return faults[this.pick(faults.length)]
  }

  #randomProperties(): Record<string, string> {
    const properties: Record<string, string> = {
      'delta.checkpointInterval': String(1 + this.pick(6)),
      'delta.logRetentionDuration': 'interval 40 days',
    }
    const maybe = (name: string, value: string): void => {
      if (this.random() < 0.4) properties[name] = value
    }
    maybe('delta.enableInCommitTimestamps', 'true')
    maybe('delta.enableDeletionVectors', 'true')
    maybe('delta.enableRowTracking', 'true')
    maybe('delta.columnMapping.mode', this.random() < 0.5 ? 'name' : 'id')
    maybe('delta.checkpointPolicy', 'v2')
    maybe('delta.enableChangeDataFeed', 'true')
    return properties
  }
}

/** A process that died, or a store that does not answer, is part of the history; anything else is a bug. */
export function isExpectedFailure(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof InjectedCrash || (at as { code?: string }).code?.startsWith('STORE_')) return true
  }
  return false
}

/** Columns that a row was written before are null in it. */
function withColumns(row: TableRow, columns: readonly string[]): TableRow {
  return Object.fromEntries(columns.map(name => [name, row[name] ?? null]))
}

function byId(a: TableRow, b: TableRow): number {
  return (a.id as bigint) < (b.id as bigint) ? -1 : 1
}
