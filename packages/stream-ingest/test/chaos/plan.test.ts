import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { KILL_POINTS } from '../../src/testing/kill-point.ts'
import { ChaosPlan, KILLS_PER_POINT, ZOMBIES } from './plan.ts'

const SEEDS = [0, 1, 7, 2 ** 31 - 1]

suite('the plan of a chaos run', () => {
  test('is the same for the same seed, however long it goes on, and another for another one', () => {
    const [first, again, other] = [new ChaosPlan(7), new ChaosPlan(7), new ChaosPlan(8)]
    assert.deepEqual(again.turns, first.turns)
    assert.notDeepEqual(other.turns, first.turns)
    const more = Array.from({ length: 20 }, () => first.another())
    assert.deepEqual(
      Array.from({ length: 20 }, () => again.another()),
      more,
    )
    assert.equal(more[0]!.index, first.turns.length)
  })

  for (const seed of SEEDS) {
    const { turns } = new ChaosPlan(seed)
    const fates = turns.flatMap(turn => turn.writers.map(writer => writer.fate))

    test(`kills at every write of the commit path, and fifty times at least (seed ${seed})`, () => {
      for (const point of KILL_POINTS) {
        const count = fates.filter(fate => fate.kind === 'kill-point' && fate.point === point).length
        assert.ok(count >= KILLS_PER_POINT, point)
      }
      const kills = fates.filter(fate => fate.kind === 'kill-point' || fate.kind === 'kill')
      assert.ok(kills.length >= 50)
    })

    test(`pauses processes only beside one that goes on (seed ${seed})`, () => {
      const paused = turns.filter(turn => turn.writers.some(({ fate }) => fate.kind === 'zombie'))
      assert.equal(paused.length, ZOMBIES)
      for (const { writers } of paused) assert.ok(writers.some(({ fate }) => fate.kind === 'drain'))
    })

    test(`has two and three processes at once, a broker that crashes and one that freezes (seed ${seed})`, () => {
      const sizes = new Set(turns.map(turn => turn.writers.length))
      assert.ok(sizes.has(2) && sizes.has(3))
      const troubles = turns.flatMap(turn => turn.broker?.kind ?? [])
      assert.deepEqual(troubles.sort(), ['crash', 'freeze'])
    })
  }
})
