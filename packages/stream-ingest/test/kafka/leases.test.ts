import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Leases } from '../../src/kafka/leases.ts'

describe('leases', () => {
  test('end with the last one, once, whoever ends which how often and in what order', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.nat(5), { maxLength: 20 }),
        (leaseCount, order) => {
          let endCount = 0
          const leases = new Leases(() => endCount++)
          const releases = Array.from({ length: leaseCount }, () => leases.lease())
          const held = new Set(releases.keys())
          for (const lease of order) {
            releases[lease]?.()
            held.delete(lease)
            assert.equal(endCount, held.size > 0 ? 0 : 1)
          }
        },
      ),
    )
  })

  test('may be taken while another one is held', () => {
    let endCount = 0
    const leases = new Leases(() => endCount++)
    const first = leases.lease()
    const second = leases.lease()
    first()
    const third = leases.lease()
    second()
    assert.equal(endCount, 0)
    third()
    assert.equal(endCount, 1)
  })
})
