import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { History } from './history.ts'

/** Histories in `npm test`; `SIMULATION_SEEDS=1000` for a long run, `SIMULATION_SEED=n` to repeat one. */
const SEED_COUNT = Number(process.env.SIMULATION_SEEDS ?? 16)
const ONLY_SEED = process.env.SIMULATION_SEED
const ROUNDS = 6
const STEPS = 8
/** A history takes a second at most; one that stands still is a failure. */
const HISTORY_MAX_MS = 120_000
/** What must have happened in some history, or they show nothing. */
const MUST_BE_MET = [
  'appended',
  'evolved',
  'optimized',
  'overwritten',
  'deleted by vector',
  'removed a file',
  'vacuumed',
  'died',
  'append met metadata',
  'optimize met a conflict',
]

suite('whatever several writers do to a table on a failing store, it holds the rows of its commits', () => {
  const met = new Map<string, number>()
  after(() => {
    if (ONLY_SEED !== undefined) return
    for (const what of MUST_BE_MET) assert(met.has(what), `no history ${what}: ${JSON.stringify([...met])}`)
  })
  const seeds =
    ONLY_SEED === undefined ? Array.from({ length: SEED_COUNT }, (_, i) => i + 1) : [Number(ONLY_SEED)]
  for (const seed of seeds) {
    test(`history ${seed} (repeat with SIMULATION_SEED=${seed})`, { timeout: HISTORY_MAX_MS }, async () => {
      const history = new History(seed)
      await history.run(ROUNDS, STEPS)
      for (const [what, count] of history.met) met.set(what, (met.get(what) ?? 0) + count)
    })
  }
})
