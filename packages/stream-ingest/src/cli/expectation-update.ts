/**
 * The text of a configuration with what came of its tests in place of what was expected: edits of single values where
 * that is enough, so that everything else stays as it is written.
 *
 * @module
 */
import { type DataType, formatDecimal, type StructField } from '@stream-ingest/delta'
import type { ConfigTest, WrittenMap, WrittenValue } from '../config/config-test.ts'
import type { Span } from '../config/diagnostic.ts'
import type { ConfigTestResult, Difference, TestOutcome } from '../pipeline/config-test.ts'
import type { ValueDifference } from '../pipeline/expected-row.ts'
import type { DecodedMessage } from '../pipeline/message-decoder.ts'
import { valueJson } from './row-text.ts'

interface TextEdit extends Span {
  readonly text: string
}

/** How the text around an edit is written. */
interface Style {
  readonly text: string
  readonly isJson: boolean
  readonly newline: string
}

/**
 * @param results of tests in this text; those that passed or ended with an error are left alone
 * @returns the new text; null where edits would lie over one another, as where an alias stands for two rows
 */
export function updateExpectations(text: string, results: readonly ConfigTestResult[]): string | null {
  const newline = text.includes('\r\n') ? '\r\n' : '\n'
  const style = { text, newline, isJson: text.trimStart().startsWith('{') }
  const edits = results.flatMap(({ ok, test, outcome, differences }) =>
    ok || outcome === null ? [] : testEdits(test, outcome, differences, style),
  )
  return applyEdits(text, edits)
}

function applyEdits(text: string, edits: readonly TextEdit[]): string | null {
  const sorted = edits.toSorted((a, b) => a.start - b.start || a.end - b.end)
  let result = ''
  let at = 0
  for (const edit of sorted) {
    if (edit.start < at || edit.end < edit.start) return null
    result += text.slice(at, edit.start) + edit.text
    at = edit.end
  }
  return result + text.slice(at)
}

const EXPECTATION_KEYS = ['rows', 'bad', 'skipped'] as const
type ExpectationKey = (typeof EXPECTATION_KEYS)[number]

function testEdits(
  test: ConfigTest,
  outcome: TestOutcome,
  differences: readonly Difference[],
  style: Style,
): TextEdit[] {
  const { expected } = test
  const came: Readonly<Record<ExpectationKey, number>> = {
    rows: outcome.rows.length,
    bad: outcome.bad.length,
    skipped: outcome.skipped,
  }
  const given = EXPECTATION_KEYS.filter(key => expected[key] !== null)
  /** What came and has no key yet takes the key of what did not come, else a new one. */
  const unnamed = EXPECTATION_KEYS.filter(key => expected[key] === null && came[key] > 0)
  const edits: TextEdit[] = []
  for (const key of given) {
    const { keySpan } = expected[key]!
    const end = expectationEnd(expected, key, style)
    const substitute = came[key] === 0 ? unnamed.shift() : undefined
    if (substitute === undefined) edits.push(...valueEdits(key, test, outcome, differences, end, style))
    else {
      const text = entryText(substitute, test, outcome, keySpan, style)
      edits.push({ start: keySpan.start, end: Math.max(end, keySpan.end), text })
    }
  }
  const last = given.toSorted((a, b) => expected[a]!.keySpan.start - expected[b]!.keySpan.start).at(-1)!
  for (const key of unnamed) edits.push(insertion(key, last, test, outcome, style))
  return edits
}

function insertion(
  key: ExpectationKey,
  after: ExpectationKey,
  test: ConfigTest,
  outcome: TestOutcome,
  style: Style,
): TextEdit {
  const { keySpan } = test.expected[after]!
  const text = entryText(key, test, outcome, keySpan, style)
  const end = expectationEnd(test.expected, after, style)
  if (isFlow(test.span, style)) return { start: end, end, text: `, ${text}` }
  // A comment behind the value stays with it.
  const lineEnd = style.text.slice(end).search(/\r?\n|$/) + end
  return { start: lineEnd, end: lineEnd, text: `${style.newline}${indentAt(keySpan.start, style)}${text}` }
}

/** `key: value`, in the manner of the map that it goes into. */
function entryText(
  key: ExpectationKey,
  test: ConfigTest,
  outcome: TestOutcome,
  { start }: Span,
  style: Style,
): string {
  if (key !== 'rows' || isFlow(test.span, style))
    return `${keyText(key, style)}: ${valueText(key, test, outcome, style)}`
  const indent = `${style.newline}${indentAt(start, style)}  - `
  return `${key}:${rowTexts(test, outcome, style)
    .map(row => `${indent}${row}`)
    .join('')}`
}

function valueText(key: ExpectationKey, test: ConfigTest, outcome: TestOutcome, style: Style): string {
  switch (key) {
    case 'rows':
      return `[${rowTexts(test, outcome, style).join(', ')}]`
    case 'bad': {
      const texts = outcome.bad.map(({ reason }) => badText(reason!, style))
      return texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`
    }
    case 'skipped':
      return outcome.skipped <= 1 ? String(outcome.skipped === 1) : String(outcome.skipped)
  }
}

/** Edits inside the value of a key that is there, or of the whole of it. */
function valueEdits(
  key: ExpectationKey,
  test: ConfigTest,
  outcome: TestOutcome,
  differences: readonly Difference[],
  end: number,
  style: Style,
): TextEdit[] {
  const { span } = test.expected[key]!
  const whole = (): TextEdit[] => [{ start: span.start, end, text: valueText(key, test, outcome, style) }]
  switch (key) {
    case 'skipped':
      return differences.some(({ kind }) => kind === 'skipped') ? whole() : []
    case 'bad': {
      const wrong = differences.filter(difference => difference.kind === 'bad')
      if (wrong.some(each => each.key === null || each.actual === null)) return whole()
      return wrong.map(({ index, key: part, actual }) => ({
        ...test.expected.bad!.value[index]!.spans[part!],
        text: stringText(actual!),
      }))
    }
    case 'rows': {
      if (differences.some(({ kind }) => kind === 'missing_row' || kind === 'extra_row')) {
        if (isFlow(span, style) || outcome.rows.length === 0) return whole()
        const indent = `${style.newline}${indentAt(span.start, style)}`
        const text = rowTexts(test, outcome, style).map(row => `- ${row}`)
        return [{ start: span.start, end, text: text.join(indent) }]
      }
      return rowEdits(test, outcome, differences, style)
    }
  }
}

function rowEdits(
  { expected }: ConfigTest,
  outcome: TestOutcome,
  differences: readonly Difference[],
  style: Style,
): TextEdit[] {
  const wrong = differences.filter(difference => difference.kind === 'value')
  return [...Map.groupBy(wrong, ({ row }) => row)].flatMap(([row, values]) => {
    if (values.every(({ type }) => type !== null)) return values.map(each => valueEdit(each, style))
    // A column that there is not goes, and with it the row as it is written.
    const written = expected.rows!.value[row]!
    const text = rowText(outcome.rows[row]!, columnsOf(written, outcome.rows[row]!), style)
    return [{ start: written.span.start, end: endOf(written, style), text }]
  })
}

function valueEdit({ type, actual, written, entry }: ValueDifference, style: Style): TextEdit {
  const text = flowText(type!, actual, style)
  if (entry === null || written.span.start !== entry.keySpan.start) {
    return { start: written.span.start, end: endOf(written, style), text }
  }
  // Nothing is written behind the key.
  const colon = /^\s*:/.exec(style.text.slice(entry.keySpan.end))?.[0].length
  const at = entry.keySpan.end + (colon ?? 0)
  return { start: at, end: at, text: colon === undefined ? `: ${text}` : ` ${text}` }
}

/** The columns that an expected row names, as far as there are such. */
function columnsOf({ entries }: WrittenMap, { schema }: DecodedMessage): readonly StructField[] {
  return entries.flatMap(({ key }) => schema!.fields.filter(field => field.name === key))
}

/** Each row with the columns that are expected of it, or of the last one; without any, all but Kafka's. */
function rowTexts({ expected }: ConfigTest, { rows, layout }: TestOutcome, style: Style): string[] {
  const written = expected.rows?.value ?? []
  const ofKafka = new Set(
    layout.columns.filter(({ source }) => source.kind === 'kafka').map(column => column.field.name),
  )
  return rows.map((message, i) => {
    const like = written[i] ?? written.at(-1)
    const columns =
      like === undefined
        ? message.schema!.fields.filter(({ name }) => !ofKafka.has(name))
        : columnsOf(like, message)
    return rowText(message, columns, style)
  })
}

function rowText({ row }: DecodedMessage, columns: readonly StructField[], style: Style): string {
  return mapText(
    columns.map(({ name, type }) => [name, flowText(type, row![name], style)]),
    style,
  )
}

function badText({ code, column }: NonNullable<DecodedMessage['reason']>, style: Style): string {
  const parts: [string, string][] = [['code', style.isJson ? stringText(code) : code]]
  if (column !== null) parts.push(['column', stringText(column)])
  return mapText(parts, style)
}

function mapText(entries: readonly (readonly [key: string, text: string])[], style: Style): string {
  if (entries.length === 0) return '{}'
  return `{ ${entries.map(([key, text]) => `${keyText(key, style)}: ${text}`).join(', ')} }`
}

const PLAIN_KEY = /^(?!(?:null|true|false)$)[A-Za-z_][A-Za-z0-9_]*$/i

function keyText(key: string, { isJson }: Style): string {
  return isJson || !PLAIN_KEY.test(key) ? JSON.stringify(key) : key
}

/** A value that is read back as itself, on one line of YAML that is JSON too but for keys without quotes. */
function flowText(type: DataType, value: unknown, style: Style): string {
  if (value === null || value === undefined) return 'null'
  switch (type.kind) {
    case 'decimal':
      return formatDecimal(value as bigint, type.scale)
    case 'array':
      return `[${(value as unknown[]).map(each => flowText(type.element, each, style)).join(', ')}]`
    case 'struct': {
      const fields = value as Readonly<Record<string, unknown>>
      return mapText(
        type.fields.map(field => [field.name, flowText(field.type, fields[field.name], style)]),
        style,
      )
    }
    case 'map':
      return mapText(
        (value as [string, unknown][]).map(([key, each]) => [key, flowText(type.value, each, style)]),
        style,
      )
    case 'primitive': {
      // A number that is larger than any double is read as infinite.
      if (value === Number.POSITIVE_INFINITY) return '1e999'
      if (value === Number.NEGATIVE_INFINITY) return '-1e999'
      if (Object.is(value, -0)) return '-0.0'
      const json = valueJson(type, value)
      return typeof json === 'string' ? stringText(json) : String(json)
    }
  }
}

/** What JSON leaves as it is and YAML does not print. */
const UNPRINTED = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g

function stringText(text: string): string {
  // `${` would be a variable, and two dollar signs stand for one.
  const literal = /\$[{$]/.test(text) ? text.replaceAll('$', '$$$$') : text
  return JSON.stringify(literal).replace(
    UNPRINTED,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function isFlow({ start }: Span, { text }: Style): boolean {
  return text[start] === '{' || text[start] === '['
}

/** Spaces up to the column of a place. */
function indentAt(start: number, { text }: Style): string {
  return ' '.repeat(start - (text.lastIndexOf('\n', start - 1) + 1))
}

/** The end of what is written: a block's own end has the comments behind it too. */
function endOf(value: WrittenValue, style: Style): number {
  const { span } = value
  if (value.kind !== 'scalar' && !isFlow(span, style)) {
    const ends =
      value.kind === 'list'
        ? value.items.map(item => endOf(item, style))
        : value.entries.map(entry => Math.max(entry.keySpan.end, endOf(entry.value, style)))
    return Math.max(span.start, ...ends)
  }
  let { end } = span
  // Of all white space, only this is not of the value.
  while (end > span.start && ' \t\r\n'.includes(style.text[end - 1]!)) end--
  return end
}

function expectationEnd(
  { rows, bad, skipped }: ConfigTest['expected'],
  key: ExpectationKey,
  style: Style,
): number {
  switch (key) {
    case 'skipped':
      return skipped!.span.end
    case 'rows':
      return endOf({ kind: 'list', items: rows!.value, span: rows!.span }, style)
    case 'bad': {
      if (isFlow(bad!.span, style)) return bad!.span.end
      const ends = bad!.value.flatMap(({ span, spans }) =>
        isFlow(span, style) ? [span.end] : Object.values(spans).map(({ end }) => end),
      )
      return Math.max(bad!.span.start, ...ends)
    }
  }
}
