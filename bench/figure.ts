/**
 * Figures of several runs, and how they are shown: the median, and the range where there is one.
 *
 * @module
 */

export interface Figure {
  readonly median: number
  readonly min: number
  readonly max: number
  /** One a run, in their order. */
  readonly runs: readonly number[]
}

/** Of an even number of runs the mean of the two in the middle. */
export function figureOf(runs: readonly number[]): Figure {
  const sorted = [...runs].sort((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const low = sorted[Math.floor(middle)]
  const high = sorted[Math.ceil(middle)]
  if (low === undefined || high === undefined) throw new Error('a figure needs at least one run')
  return { median: (low + high) / 2, min: sorted[0]!, max: sorted.at(-1)!, runs }
}

/** Run by run: what happens to both in the same minute falls out. */
export function pairedRatio(numerator: readonly number[], denominator: readonly number[]): Figure {
  return figureOf(numerator.map((value, run) => value / denominator[run]!))
}

/** `1.32 (1.29–1.40)`; the range is left out for a single run. */
export function formatFigure({ median, min, max, runs }: Figure, digits: number): string {
  const text = formatNumber(median, digits)
  return runs.length < 2 ? text : `${text} (${formatNumber(min, digits)}–${formatNumber(max, digits)})`
}

export function formatNumber(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}
