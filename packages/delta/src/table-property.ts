/**
 * Table properties (`metaData.configuration`) with their types and defaults.
 *
 * PROTOCOL.md › Table Properties. Unknown properties are kept by everything that rewrites `metaData`; only those that
 * the code reads are here.
 *
 * @module
 */
import { DeltaLakeError } from './error.ts'

interface PropertyKind<T> {
  readonly fallback: T
  readonly expected: string
  /** undefined where the text is no value of the property. */
  parse(text: string): T | undefined
}

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  microsecond: 0.001,
  millisecond: 1,
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000,
}

const flag = (fallback: boolean): PropertyKind<boolean> => ({
  fallback,
  expected: '`true` or `false`',
  parse: text => (/^true$/i.test(text) ? true : /^false$/i.test(text) ? false : undefined),
})

const integer = <T extends number | null>(fallback: T, min: number): PropertyKind<number | T> => ({
  fallback,
  expected: `an integer from ${min} on`,
  parse: text => (/^[+-]?\d{1,15}$/.test(text) && Number(text) >= min ? Number(text) : undefined),
})

const interval = <T extends string | null>(
  fallback: T,
): PropertyKind<T extends null ? number | null : number> => ({
  fallback: (fallback === null ? null : parseInterval(fallback)) as T extends null ? number | null : number,
  expected: 'an interval such as `interval 30 days`',
  parse: text => parseInterval(text) as number | undefined,
})

const choice = <const T extends readonly string[]>(
  values: T,
  fallback: T[number],
): PropertyKind<T[number]> => ({
  fallback,
  expected: values.map(v => `\`${v}\``).join(' or '),
  parse: text => values.find(v => v.toLowerCase() === text.toLowerCase()),
})

/** Intervals are in milliseconds. */
const TABLE_PROPERTIES = {
  'delta.appendOnly': flag(false),
  'delta.checkpointInterval': integer(10, 1),
  'delta.checkpointPolicy': choice(['classic', 'v2'], 'classic'),
  'delta.checkpoint.writeStatsAsJson': flag(true),
  'delta.checkpoint.writeStatsAsStruct': flag(true),
  'delta.columnMapping.mode': choice(['none', 'name', 'id'], 'none'),
  'delta.dataSkippingNumIndexedCols': integer(32, -1),
  'delta.dataSkippingStatsColumns': {
    fallback: null,
    expected: 'column names with commas between them, back-ticks around names with special characters',
    parse: parseColumnList,
  } as PropertyKind<readonly (readonly string[])[] | null>,
  'delta.dataSkippingStringPrefixLength': integer(32, 0),
  'delta.deletedFileRetentionDuration': interval('interval 1 week'),
  'delta.enableChangeDataFeed': flag(false),
  'delta.enableDeletionVectors': flag(false),
  'delta.enableExpiredLogCleanup': flag(true),
  'delta.enableInCommitTimestamps': flag(false),
  'delta.enableRowTracking': flag(false),
  'delta.enableTypeWidening': flag(false),
  'delta.inCommitTimestampEnablementTimestamp': integer(null, 0),
  'delta.inCommitTimestampEnablementVersion': integer(null, 0),
  'delta.logRetentionDuration': interval('interval 30 days'),
  'delta.requireCheckpointProtectionBeforeVersion': integer(0, 0),
  'delta.rowTrackingSuspended': flag(false),
  'delta.setTransactionRetentionDuration': interval(null),
} as const

export type TablePropertyName = keyof typeof TABLE_PROPERTIES
type TablePropertyValue<K extends TablePropertyName> = (typeof TABLE_PROPERTIES)[K]['fallback']

/**
 * A property of the table, or its default where the table does not set it.
 *
 * @param configuration `metaData.configuration`
 * @throws DeltaLakeError `DELTA_PROPERTY_INVALID` where the text is no value of the property
 */
export function tableProperty<K extends TablePropertyName>(
  configuration: Readonly<Record<string, string>>,
  name: K,
): TablePropertyValue<K> {
  const kind = TABLE_PROPERTIES[name] as PropertyKind<TablePropertyValue<K>>
  const text = Object.hasOwn(configuration, name) ? configuration[name] : undefined
  if (text === undefined) return kind.fallback
  const value = kind.parse(text.trim())
  if (value === undefined) {
    throw new DeltaLakeError(
      'DELTA_PROPERTY_INVALID',
      `the table property \`${name}\` is \`${text}\`; it must be ${kind.expected}`,
      { context: { property: name, value: text } },
    )
  }
  return value
}

/**
 * Parses `interval 30 days`, `interval 1 week 2 hours`, the word `interval` optional, to milliseconds. Months and
 * years have no fixed length and are refused.
 *
 * @returns undefined where it is no such interval
 */
export function parseInterval(text: string): number | undefined {
  const words = text.trim().toLowerCase().split(/\s+/)
  if (words[0] === 'interval') words.shift()
  if (words.length === 0 || words.length % 2 !== 0) return undefined
  let total = 0
  for (let i = 0; i < words.length; i += 2) {
    const unit = MS_PER_UNIT[words[i + 1]!.replace(/s$/, '')]
    if (unit === undefined || !/^[+-]?\d{1,12}$/.test(words[i]!)) return undefined
    total += Number(words[i]) * unit
  }
  return total >= 0 && Number.isSafeInteger(Math.trunc(total)) ? Math.trunc(total) : undefined
}

/**
 * Parses `a, b.c, `x.y`.z`: paths of names with dots between them; a name in back-ticks may hold anything, a back-tick
 * doubled.
 *
 * @returns undefined where a name is empty or a back-tick has no end
 */
export function parseColumnList(text: string): string[][] | undefined {
  if (text.trim() === '') return []
  const paths: string[][] = []
  let path: string[] = []
  const name = /\s*(?:`((?:[^`]|``)+)`|([^`,.]*[^`,.\s]))\s*([.,]|$)/y
  for (;;) {
    const match = name.exec(text)
    if (match === null) return undefined
    path.push(match[1] === undefined ? match[2]! : match[1].replaceAll('``', '`'))
    if (match[3] === '.') continue
    paths.push(path)
    path = []
    if (match[3] === '') return paths
  }
}
