/**
 * Counters, gauges and histograms, and their text for Prometheus (exposition format 0.0.4).
 *
 * @module
 */

export type MetricType = 'counter' | 'gauge' | 'histogram'

export interface MetricDefinition {
  readonly name: string
  readonly type: MetricType
  readonly help: string
  readonly labels: readonly string[]
  /** Upper bounds of a histogram, ascending. */
  readonly buckets?: readonly number[]
}

/** Sets of labels of one metric: pipelines, topics and partitions are the configuration's, and these are their bound. */
export const SERIES_MAX = 20_000

interface Series {
  readonly labels: readonly string[]
  value: number
  /** Of a histogram: counts by bucket, not added up, and the number of observations. */
  readonly counts: number[]
  count: number
}

export class MetricRegistry {
  readonly #definitions: readonly MetricDefinition[]
  readonly #byName: ReadonlyMap<string, MetricDefinition>
  readonly #series = new Map<string, Map<string, Series>>()
  #droppedCount = 0

  constructor(definitions: readonly MetricDefinition[]) {
    this.#definitions = definitions
    this.#byName = new Map(definitions.map(definition => [definition.name, definition]))
    for (const { name } of definitions) this.#series.set(name, new Map())
  }

  /** Values that belong to a set of labels beyond {@link SERIES_MAX}, and are in no series. */
  get droppedCount(): number {
    return this.#droppedCount
  }

  /** Adds to a counter. `labels` are values in the order of the definition. */
  add(name: string, labels: readonly string[], count = 1): void {
    const series = this.#of(name, labels)
    if (series !== null) series.value += count
  }

  /** Sets a gauge. */
  set(name: string, labels: readonly string[], value: number): void {
    const series = this.#of(name, labels)
    if (series !== null) series.value = value
  }

  /** Adds an observation to a histogram. */
  observe(name: string, labels: readonly string[], value: number): void {
    const series = this.#of(name, labels)
    const buckets = this.#definitionOf(name).buckets ?? []
    if (series === null) return
    const index = buckets.findIndex(bound => value <= bound)
    if (index >= 0) series.counts[index] = (series.counts[index] ?? 0) + 1
    series.value += value
    series.count++
  }

  /** The text for Prometheus; metrics without a value yet are named all the same. */
  format(): string {
    let text = ''
    for (const definition of this.#definitions) {
      const { name, type, help } = definition
      text += `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`
      for (const series of this.#series.get(name)!.values()) text += formatSeries(definition, series)
    }
    return text
  }

  #definitionOf(name: string): MetricDefinition {
    const found = this.#byName.get(name)
    if (found === undefined) throw new Error(`there is no metric ${name}`)
    return found
  }

  /** Null where there are too many: what is measured must not fill the memory. */
  #of(name: string, labels: readonly string[]): Series | null {
    const all = this.#series.get(name)
    if (all === undefined) throw new Error(`there is no metric ${name}`)
    const key = JSON.stringify(labels)
    let series = all.get(key)
    if (series === undefined) {
      if (all.size >= SERIES_MAX) {
        this.#droppedCount++
        return null
      }
      series = { labels, value: 0, counts: [], count: 0 }
      all.set(key, series)
    }
    return series
  }
}

function formatSeries({ name, type, labels, buckets = [] }: MetricDefinition, series: Series): string {
  const pairs = labels.map((label, i) => `${label}="${escapeLabel(series.labels[i] ?? '')}"`)
  if (type !== 'histogram') return `${name}${formatLabels(pairs)} ${formatValue(series.value)}\n`
  let text = ''
  let sum = 0
  for (const [i, bound] of buckets.entries()) {
    sum += series.counts[i] ?? 0
    text += `${name}_bucket${formatLabels([...pairs, `le="${bound}"`])} ${sum}\n`
  }
  text += `${name}_bucket${formatLabels([...pairs, 'le="+Inf"'])} ${series.count}\n`
  text += `${name}_sum${formatLabels(pairs)} ${formatValue(series.value)}\n`
  return `${text}${name}_count${formatLabels(pairs)} ${series.count}\n`
}

function formatLabels(pairs: readonly string[]): string {
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function formatValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return Number.isNaN(value) ? 'NaN' : String(value)
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"')
}
