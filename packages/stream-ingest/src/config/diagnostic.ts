/**
 * Collects what is wrong with a configuration text and locates it, with secrets masked in the lines that are shown.
 *
 * @module
 */
import type { Diagnostic, ErrorCode } from '../error.ts'

/** A half-open range of the text, in UTF-16 units. */
export interface Span {
  readonly start: number
  readonly end: number
}

export interface DiagnosticDetail {
  readonly help?: string
  readonly suggestion?: string
}

/** Where a diagnostic is, with the line to show. */
export type DiagnosticPlace = Pick<Diagnostic, 'file' | 'line' | 'column' | 'endLine' | 'endColumn' | 'frame'>

interface Finding extends DiagnosticDetail {
  readonly code: ErrorCode
  readonly severity: Diagnostic['severity']
  readonly span: Span
  readonly message: string
}

/** More findings than this help nobody; the rest is counted by the last one. */
export const DIAGNOSTICS_MAX = 200
/** A shown line is cut to about this many characters around what is meant. */
const FRAME_WIDTH_MAX = 160
const SECRET_MASK = '[secret]'
/** In a text that does not parse, whatever follows such a key may be a secret. */
const SECRET_LINE = /((?:pass|secret|token|key)[\w-]*["']?\s*[:=]\s*)(\S.*)$/gi

/** The findings of one text. */
export class DiagnosticSink {
  readonly file: string
  readonly text: string
  readonly #lineStarts: readonly number[]
  readonly #findings: Finding[] = []
  readonly #seen = new Set<string>()
  readonly #secrets: Span[] = []
  #errorCount = 0
  #droppedCount = 0
  #isParsed = true

  constructor(file: string, text: string) {
    this.file = file
    this.text = text
    const starts = [0]
    for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
    this.#lineStarts = starts
  }

  get errorCount(): number {
    return this.#errorCount
  }

  error(code: ErrorCode, span: Span, message: string, detail: DiagnosticDetail = {}): void {
    this.#add({ code, severity: 'error', span, message, ...detail })
  }

  warn(code: ErrorCode, span: Span, message: string, detail: DiagnosticDetail = {}): void {
    this.#add({ code, severity: 'warning', span, message, ...detail })
  }

  /** The line, from 1, of a place in the text. */
  lineAt(offset: number): number {
    return this.#position(offset).line
  }

  /** This part of the text is never shown. */
  redact(span: Span): void {
    if (span.end > span.start) this.#secrets.push(span)
  }

  /** A span as a diagnostic locates it. */
  locate(span: Span): DiagnosticPlace {
    const start = this.#position(span.start)
    const end = this.#position(Math.max(span.end, span.start))
    return {
      file: this.file,
      line: start.line,
      column: start.column,
      endLine: end.line,
      endColumn: end.column,
      frame: this.#frame(start.line, span),
    }
  }

  /** Where a span begins, both from 1. */
  place(span: Span): { readonly line: number; readonly column: number } {
    return this.#position(span.start)
  }

  /** The text has no trustworthy structure: mask whatever looks like a secret in the lines that are shown. */
  markUnparsed(): void {
    this.#isParsed = false
  }

  /** Everything found, in the order of the text. */
  finish(): readonly Diagnostic[] {
    const sorted = this.#findings.toSorted((a, b) => a.span.start - b.span.start)
    const diagnostics = sorted.map(finding => this.#diagnose(finding))
    const last = diagnostics.at(-1)
    if (this.#droppedCount > 0 && last !== undefined) {
      const help = `${last.help === null ? '' : `${last.help}; `}${this.#droppedCount} more findings are not shown`
      diagnostics[diagnostics.length - 1] = { ...last, help }
    }
    return diagnostics
  }

  #add(finding: Finding): void {
    // A section that several pipelines inherit is read once for each of them.
    const identity = `${finding.code}:${finding.span.start}:${finding.message}`
    if (this.#seen.has(identity)) return
    if (finding.severity === 'error') this.#errorCount += 1
    if (this.#findings.length >= DIAGNOSTICS_MAX) {
      this.#droppedCount += 1
      return
    }
    this.#seen.add(identity)
    this.#findings.push(finding)
  }

  #diagnose(finding: Finding): Diagnostic {
    const { code, severity, span, message, help, suggestion } = finding
    return {
      code,
      severity,
      ...this.locate(span),
      message,
      help: help ?? null,
      suggestion: suggestion ?? null,
    }
  }

  #position(offset: number): { line: number; column: number } {
    const at = Math.min(Math.max(offset, 0), this.text.length)
    let low = 0
    let high = this.#lineStarts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#lineStarts[middle] as number) <= at) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: at - (this.#lineStarts[low] as number) + 1 }
  }

  #frame(line: number, span: Span): Diagnostic['frame'] {
    const lineStart = this.#lineStarts[line - 1] as number
    const newline = this.text.indexOf('\n', lineStart)
    let lineEnd = newline === -1 ? this.text.length : newline
    if (this.text[lineEnd - 1] === '\r' && lineEnd > lineStart) lineEnd -= 1
    if (lineEnd === lineStart) return null
    const meant = { start: span.start, end: Math.max(span.start + 1, Math.min(span.end, lineEnd)) }
    const masked = maskSpans(
      this.text,
      { start: lineStart, end: lineEnd },
      this.#isParsed ? this.#secrets : [],
      meant,
    )
    if (!this.#isParsed) masked.text = masked.text.replace(SECRET_LINE, `$1${SECRET_MASK}`)
    return cutFrame(printable(masked.text), masked.start, masked.length)
  }
}

/** Quotes a value for a message: one line, printable, cut. */
export function quoteValue(value: string): string {
  const cut = value.length > 80 ? `${value.slice(0, 79)}…` : value
  return `\`${printable(cut)}\``
}

function maskSpans(text: string, line: Span, secrets: readonly Span[], meant: Span) {
  let masked = ''
  let start = meant.start - line.start
  let end = meant.end - line.start
  let at = line.start
  const hidden = secrets
    .filter(secret => secret.start < line.end && secret.end > line.start)
    .toSorted((a, b) => a.start - b.start)
  for (const secret of hidden) {
    const from = Math.max(secret.start, at)
    const to = Math.min(secret.end, line.end)
    if (to <= from) continue
    masked += text.slice(at, from) + SECRET_MASK
    const shift = SECRET_MASK.length - (to - from)
    // What is meant keeps its place in the masked line: before, behind or around the mask.
    if (meant.start >= to) start += shift
    else if (meant.start > from) start = from - line.start
    if (meant.end >= to) end += shift
    at = to
  }
  masked += text.slice(at, line.end)
  return { text: masked, start, length: Math.max(1, end - start) }
}

function cutFrame(text: string, start: number, length: number): NonNullable<Diagnostic['frame']> {
  const clampedStart = Math.min(start, text.length)
  if (text.length <= FRAME_WIDTH_MAX) {
    return { text, start: clampedStart, length: Math.max(1, Math.min(length, text.length - clampedStart)) }
  }
  const from = Math.max(0, Math.min(clampedStart - 40, text.length - FRAME_WIDTH_MAX))
  const cut = text.slice(from, from + FRAME_WIDTH_MAX)
  const shown = `${from > 0 ? '…' : ''}${cut}${from + FRAME_WIDTH_MAX < text.length ? '…' : ''}`
  const shift = (from > 0 ? 1 : 0) - from
  const shownStart = clampedStart + shift
  return {
    text: shown,
    start: shownStart,
    length: Math.max(1, Math.min(length, FRAME_WIDTH_MAX - shownStart)),
  }
}

/** A terminal must not obey what stands in a file. */
function printable(text: string): string {
  return text.replaceAll('\t', ' ').replaceAll(/\p{Cc}/gu, '\u{fffd}')
}
