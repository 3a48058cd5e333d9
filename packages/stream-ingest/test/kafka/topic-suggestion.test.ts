import assert from 'node:assert/strict'
import { test } from 'node:test'
import { suggestTopic } from '../../src/kafka/topic-suggestion.ts'

const TOPICS = ['user-events', 'orders', 'payments.v2']

for (const [wanted, expected] of [
  ['user_events', 'user-events'],
  ['UserEvents', 'user-events'],
  ['ordres', 'orders'],
  ['order', 'orders'],
  ['payments-v2', 'payments.v2'],
  ['inventory', null],
] as const) {
  test(`suggests ${expected} for ${wanted}`, () => {
    assert.equal(suggestTopic(wanted, TOPICS), expected)
  })
}
