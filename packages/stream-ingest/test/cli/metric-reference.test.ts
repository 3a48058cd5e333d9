import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { ALL_METRICS, createMetricReference } from '../../src/cli/metric-reference.ts'
import { type AskedQuery, readAlertRules, readDashboardQueries, selectorsOf } from '../observe/prom-query.ts'

const ROOT = new URL('../../../../', import.meta.url)
/** Labels that Prometheus and its clients add to those of the definition. */
const BUCKET_LABEL = 'le'

/** Every metric of a query is defined, with the labels that it is chosen and grouped by. */
function assertKnown({ expr, place }: AskedQuery): void {
  const { selectors, groupings } = selectorsOf(expr)
  assert(selectors.length > 0, `${place}: no metric in \`${expr}\``)
  const labelsOfAll = new Set([BUCKET_LABEL])
  for (const { name, labels } of selectors) {
    const definition = ALL_METRICS.find(
      one =>
        one.name === name ||
        (one.type === 'histogram' && ['_bucket', '_count', '_sum'].some(end => one.name + end === name)),
    )
    assert(definition !== undefined, `${place}: there is no metric ${name}`)
    for (const label of labels) assert(definition.labels.includes(label), `${place}: ${name} has no ${label}`)
    for (const label of definition.labels) labelsOfAll.add(label)
  }
  for (const label of groupings) assert(labelsOfAll.has(label), `${place}: nothing has the label ${label}`)
}

describe('the metrics', () => {
  test('are on their page', async () => {
    const page = await readFile(new URL('docs/reference/metrics.md', ROOT), 'utf8')
    assert.equal(page, createMetricReference(), 'run `node --conditions=source scripts/generate-docs.mjs`')
  })

  test('have names and labels by the rules', () => {
    for (const { name, type, labels, help } of ALL_METRICS) {
      assert.match(name, /^(stream_ingest|process)_[a-z_]+$/)
      assert.equal(name.endsWith('_total'), type === 'counter', name)
      if (type === 'histogram') assert.match(name, /_seconds$/)
      assert(help.endsWith('.'), name)
      const isOfPartition = labels.some(label => label === 'partition')
      if (isOfPartition) assert.match(name, /_(lag_records|next_offset|end_offset)$/)
    }
    assert.equal(new Set(ALL_METRICS.map(({ name }) => name)).size, ALL_METRICS.length)
  })

  test('that the rules of alerts ask for are there', async () => {
    const rules = await readAlertRules()
    assert(rules.length >= 15)
    for (const rule of rules) {
      assertKnown(rule)
      assert.match(rule.severity, /^(page|warn)$/, rule.place)
      assert.match(rule.summary, /\{\{/, rule.place)
      // What a summary names is a label that the alert has.
      const { groupings } = selectorsOf(rule.expr)
      for (const [, label] of rule.summary.matchAll(/\$labels\.([a-z_]+)/g)) {
        const isGrouped = groupings.length === 0 || groupings.includes(label!)
        assert(isGrouped, `${rule.place}: ${label} is not among the labels of the alert`)
      }
    }
    assert.equal(new Set(rules.map(({ place }) => place)).size, rules.length)
  })

  test('that the dashboard asks for are there', async () => {
    const queries = await readDashboardQueries()
    assert(queries.length >= 20)
    for (const query of queries) assertKnown(query)
  })

  test('are all asked for by the dashboard or a rule, or are there for other reasons', async () => {
    const asked = [...(await readDashboardQueries()), ...(await readAlertRules())]
      .flatMap(({ expr }) => selectorsOf(expr).selectors)
      .map(({ name }) => name.replace(/_(bucket|count|sum)$/, ''))
    const unasked = ALL_METRICS.map(({ name }) => name).filter(name => !asked.includes(name))
    assert.deepEqual(unasked, [
      // For looking at one partition, and at what a number means.
      'stream_ingest_schema_changes_total',
      'stream_ingest_next_offset',
      'stream_ingest_end_offset',
      'stream_ingest_buffered_records',
      'process_start_time_seconds',
    ])
  })

  test('of a query with a mistake in it are found wrong', () => {
    assert.throws(
      () => selectorsOf('sum by (pipeline) (rate(stream_ingest_rows_committed_total[5m])'),
      /PromQL/,
    )
    const broken = { place: 'x', expr: 'sum by (topic) (stream_ingest_rows_committed_total)' }
    assert.throws(() => assertKnown(broken), /topic/)
    assert.throws(() => assertKnown({ place: 'x', expr: 'stream_ingest_rows_total' }), /no metric/)
    assert.throws(
      () => assertKnown({ place: 'x', expr: 'stream_ingest_table_version{topic="a"}' }),
      /has no topic/,
    )
  })
})

test('the rules of alerts are valid YAML of Prometheus’s form', async () => {
  const text = await readFile(new URL('dashboards/alerts.yaml', ROOT), 'utf8')
  const { groups } = parse(text) as { groups: { name: string; rules: Record<string, unknown>[] }[] }
  for (const { name, rules } of groups) {
    assert.equal(typeof name, 'string')
    for (const rule of rules) {
      const known = ['alert', 'expr', 'for', 'labels', 'annotations']
      assert.deepEqual(
        Object.keys(rule).filter(key => !known.includes(key)),
        [],
      )
      if (rule.for !== undefined) assert.match(String(rule.for), /^\d+[smhd]$/)
    }
  }
})
