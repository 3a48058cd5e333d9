/**
 * The queries that the repository ships for Prometheus and Grafana, read by the grammar of PromQL.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { parser } from '@prometheus-io/lezer-promql'
import { parse } from 'yaml'

const DASHBOARDS = new URL('../../../../dashboards/', import.meta.url)

export interface AskedQuery {
  /** The alert, or the panel. */
  readonly place: string
  readonly expr: string
}

export interface AlertRule extends AskedQuery {
  readonly severity: string
  readonly summary: string
}

export interface Selector {
  readonly name: string
  /** By which it is chosen. */
  readonly labels: readonly string[]
}

export async function readAlertRules(): Promise<AlertRule[]> {
  const { groups } = parse(await readFile(new URL('alerts.yaml', DASHBOARDS), 'utf8')) as {
    groups: {
      rules: {
        alert: string
        expr: string
        labels: { severity: string }
        annotations: { summary: string }
      }[]
    }[]
  }
  return groups.flatMap(({ rules }) =>
    rules.map(({ alert, expr, labels, annotations }) => ({
      place: alert,
      expr,
      severity: labels.severity,
      summary: annotations.summary,
    })),
  )
}

export async function readDashboardQueries(): Promise<AskedQuery[]> {
  const { panels } = JSON.parse(await readFile(new URL('stream-ingest.json', DASHBOARDS), 'utf8')) as {
    panels: { title: string; targets?: { expr: string }[] }[]
  }
  return panels.flatMap(({ title, targets = [] }) =>
    // Grafana's own variable is a range like any other.
    targets.map(({ expr }) => ({ place: title, expr: expr.replaceAll('$__rate_interval', '5m') })),
  )
}

/** Which metrics a query asks for, and by which labels it groups. Fails where it is no PromQL. */
export function selectorsOf(expr: string): { selectors: Selector[]; groupings: string[] } {
  const selectors: { name: string; labels: string[] }[] = []
  const groupings: string[] = []
  parser.parse(expr).iterate({
    enter({ type, from, to, node }) {
      const text = expr.slice(from, to)
      if (type.isError) assert.fail(`no PromQL at ${from}: \`${expr}\``)
      if (type.name === 'VectorSelector') {
        selectors.push({ name: expr.slice(from, node.getChild('Identifier')?.to ?? from), labels: [] })
      }
      const isLabel = type.name === 'LabelName'
      if (isLabel && node.parent?.name === 'GroupingLabels') groupings.push(text)
      else if (isLabel) selectors.at(-1)?.labels.push(text)
    },
  })
  return { selectors, groupings }
}
