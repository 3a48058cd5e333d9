/**
 * A table of a report, as aligned text or as Markdown.
 *
 * @module
 */

export interface Table {
  readonly title: string
  /** The first is of the rows' names. */
  readonly header: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** Said below. */
  readonly notes?: readonly string[]
}

export type TableFormat = 'text' | 'markdown'

export function renderTable(table: Table, format: TableFormat): string {
  return format === 'markdown' ? renderMarkdown(table) : renderText(table)
}

function renderText({ title, header, rows, notes = [] }: Table): string {
  const widths = header.map((name, column) =>
    Math.max(name.length, ...rows.map(row => (row[column] ?? '').length)),
  )
  const line = (cells: readonly string[]): string =>
    widths
      .map((width, column) =>
        column === 0 ? (cells[column] ?? '').padEnd(width) : (cells[column] ?? '').padStart(width),
      )
      .join('  ')
      .trimEnd()
  const lines = [title, line(header), ...rows.map(line), ...notes.map(note => `  ${note}`)]
  return `${lines.join('\n')}\n`
}

function renderMarkdown({ title, header, rows, notes = [] }: Table): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const rule = header.map((_, column) => (column === 0 ? '---' : '---:'))
  const parts = [`**${title}**`, '', line(header), line(rule), ...rows.map(line)]
  if (notes.length > 0) parts.push('', ...notes)
  return `${parts.join('\n')}\n`
}
