/**
 * `docs/reference/metrics.md`, from the definitions of the metrics.
 *
 * @module
 */
import { METRICS } from '../observe/metric.ts'
import type { MetricDefinition } from '../observe/metric-registry.ts'
import { PROCESS_METRICS } from './metrics-server.ts'

/** Everything that `/metrics` shows, in its order. */
export const ALL_METRICS: readonly MetricDefinition[] = [...METRICS, ...PROCESS_METRICS]

/** The page, in Markdown. */
export function createMetricReference(): string {
  const rows = ALL_METRICS.map(
    ({ name, type, labels, help }) =>
      `| \`${name}\` | ${type} | ${labels.map(label => `\`${label}\``).join(', ') || '–'} | ${help} |`,
  )
  return `# Metrics

What \`stream-ingest run --metrics ADDRESS\` serves at \`/metrics\`, for Prometheus. Generated from the definitions in the code.
\`/healthz\` answers 200 while the process lives, \`/readyz\` while every pipeline is at work. How to use them: [Metrics and alerts](../operate/metrics.md).

| metric | type | labels | meaning |
|---|---|---|---|
${rows.join('\n')}
`
}
