import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { ALL_METRICS, createMetricReference } from '../../src/cli/metric-reference.ts'

const ROOT = new URL('../../../../', import.meta.url)

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly annotations: { readonly summary: string }
}

interface Panel {
  readonly title: string
  readonly targets: readonly { readonly expr: string }[]
}

/** Names of metrics in an expression, each with the labels that it is asked by. */
function* asked(expr: string): Generator<{ name: string; labels: string[] }> {
  for (const [, name, selector = ''] of expr.matchAll(
    /\b((?:stream_ingest|process)_[a-z_]+)(?:\{([^}]*)\})?/g,
  )) {
    yield { name: name!, labels: [...selector.matchAll(/([a-z_]+)\s*[=!]/g)].map(match => match[1]!) }
  }
}

function assertKnown(expr: string, where: string): void {
  const all = [...asked(expr)]
  assert(all.length > 0, `${where}: no metric in \`${expr}\``)
  for (const { name, labels } of all) {
    const definition = ALL_METRICS.find(one => one.name === name || `${one.name}_bucket` === name)
    assert(definition !== undefined, `${where}: there is no metric ${name}`)
    for (const label of labels) assert(definition.labels.includes(label), `${where}: ${name} has no ${label}`)
  }
}

describe('the metrics', () => {
  test('are on their page', async () => {
    const page = await readFile(new URL('docs/reference/metrics.md', ROOT), 'utf8')
    assert.equal(page, createMetricReference(), 'run `node --conditions=source scripts/generate-docs.mjs`')
  })

  test('that the rules of alerts ask for are there', async () => {
    const { groups } = parse(await readFile(new URL('dashboards/alerts.yaml', ROOT), 'utf8')) as {
      groups: { rules: Rule[] }[]
    }
    const rules = groups.flatMap(group => group.rules)
    assert(rules.length >= 8)
    for (const { alert, expr, annotations } of rules) {
      assertKnown(expr, alert)
      assert(annotations.summary.includes('{{'), alert)
    }
  })

  test('that the dashboard asks for are there', async () => {
    const { panels } = JSON.parse(await readFile(new URL('dashboards/stream-ingest.json', ROOT), 'utf8')) as {
      panels: Panel[]
    }
    assert(panels.length >= 8)
    for (const { title, targets } of panels) for (const { expr } of targets) assertKnown(expr, title)
  })
})
