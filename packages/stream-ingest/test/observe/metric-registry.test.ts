import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { MetricRegistry } from '../../src/observe/metric-registry.ts'

const DEFINITIONS = [
  { name: 'things_total', type: 'counter', help: 'Things \\ of\nall kinds.', labels: ['kind'] },
  { name: 'level', type: 'gauge', help: 'Level.', labels: [] },
  { name: 'wait_seconds', type: 'histogram', help: 'Wait.', labels: ['kind'], buckets: [0.5, 2] },
] as const

suite('the registry of metrics', () => {
  test('adds, sets and observes, and prints the text format', () => {
    const registry = new MetricRegistry(DEFINITIONS)
    registry.add('things_total', ['a'])
    registry.add('things_total', ['a'], 2)
    registry.add('things_total', ['say "b"\n'])
    registry.set('level', [], 1.5)
    registry.set('level', [], -1)
    for (const seconds of [0.5, 0.4, 1, 3]) registry.observe('wait_seconds', ['a'], seconds)
    assert.equal(
      registry.format(),
      [
        '# HELP things_total Things \\\\ of\\nall kinds.',
        '# TYPE things_total counter',
        'things_total{kind="a"} 3',
        'things_total{kind="say \\"b\\"\\n"} 1',
        '# HELP level Level.',
        '# TYPE level gauge',
        'level -1',
        '# HELP wait_seconds Wait.',
        '# TYPE wait_seconds histogram',
        'wait_seconds_bucket{kind="a",le="0.5"} 2',
        'wait_seconds_bucket{kind="a",le="2"} 3',
        'wait_seconds_bucket{kind="a",le="+Inf"} 4',
        'wait_seconds_sum{kind="a"} 4.9',
        'wait_seconds_count{kind="a"} 4',
        '',
      ].join('\n'),
    )
  })

  test('keeps a bounded number of series', () => {
    const registry = new MetricRegistry(DEFINITIONS)
    for (let i = 0; i < 30_000; i++) registry.add('things_total', [String(i)])
    registry.add('things_total', ['0'])
    const lines = registry.format().split('\n')
    assert(lines.includes('things_total{kind="0"} 2'))
    assert.equal(lines.filter(line => line.startsWith('things_total{')).length, 20_000)
  })

  test('has no metric that is not defined', () => {
    const registry = new MetricRegistry(DEFINITIONS)
    assert.throws(() => registry.add('thing_total', []), /there is no metric thing_total/)
  })
})
