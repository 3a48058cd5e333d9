/**
 * The configurations in a Markdown file, so that documentation is checked like files.
 *
 * A fence of `yaml` or `yml` is one where `kafka:` and `delta:` (or `pipelines:`) begin lines at its left edge, or where its
 * info string says `stream-ingest`. A fence that says `ignore` is none.
 *
 * @module
 */

export interface MarkdownConfig {
  /** From the line where it stands: the lines before it are empty, so that findings have the places of the file. */
  readonly text: string
}

export interface MarkdownConfigs {
  readonly configs: readonly MarkdownConfig[]
  /** Fences of YAML that are something else. */
  readonly skippedCount: number
}

const OPENING = /^(?<indent> *)(?<fence>`{3,}|~{3,})\s*(?<info>[^`]*)$/
const YAML = /^ya?ml\b/i

export function configsOfMarkdown(markdown: string): MarkdownConfigs {
  const lines = markdown.split(/\r?\n/)
  const configs: MarkdownConfig[] = []
  let skippedCount = 0
  for (let i = 0; i < lines.length; i++) {
    const opening = OPENING.exec(lines[i]!)?.groups
    if (opening === undefined) continue
    const first = i + 1
    let end = first
    while (end < lines.length && !closes(lines[end]!, opening.fence!)) end++
    i = end
    const info = opening.info!.trim()
    if (!YAML.test(info)) continue
    const body = lines.slice(first, end)
    if (isConfig(info, body)) configs.push({ text: `${'\n'.repeat(first)}${body.join('\n')}\n` })
    else skippedCount++
  }
  return { configs, skippedCount }
}

function closes(line: string, fence: string): boolean {
  const text = line.trim()
  return text.length >= fence.length && text.replaceAll(fence[0]!, '') === ''
}

function isConfig(info: string, body: readonly string[]): boolean {
  const words = info.split(/\s+/).slice(1)
  if (words.includes('ignore')) return false
  if (words.includes('stream-ingest')) return true
  const filled = body.filter(line => line.trim() !== '')
  const edge = Math.min(...filled.map(line => line.length - line.trimStart().length))
  const has = (key: string): boolean => filled.some(line => line.slice(edge).startsWith(`${key}:`))
  return has('pipelines') || (has('kafka') && has('delta'))
}
