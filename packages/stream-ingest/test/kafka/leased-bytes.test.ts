import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { LeasedBytes } from '../../src/kafka/leased-bytes.ts'

describe('leased bytes', () => {
  test('stay until the last lease is ended, whoever ends which how often and in what order', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.nat(5), { maxLength: 20 }),
        (leaseCount, order) => {
          const bytes = new Uint8Array(16).fill(7)
          const leased = new LeasedBytes(bytes)
          const releases = Array.from({ length: leaseCount }, () => leased.lease())
          const held = new Set(releases.keys())
          for (const lease of order) {
            releases[lease]?.()
            held.delete(lease)
            assert.equal(Buffer.from(bytes).toString('hex'), held.size > 0 ? '07'.repeat(16) : '')
          }
        },
      ),
    )
  })

  test('stay under a lease that is taken while another one is held', () => {
    const bytes = new Uint8Array(16)
    const leased = new LeasedBytes(bytes)
    const first = leased.lease()
    const second = leased.lease()
    first()
    const third = leased.lease()
    second()
    assert.equal(bytes.length, 16)
    third()
    assert.equal(bytes.length, 0)
  })
})
