/**
 * Configurations inside Markdown: the YAML fences of a page.
 *
 * @module
 */

/** Fences of one page that are looked at. */
export const FENCES_MAX = 1_000
/** The word behind the language that has a fence checked, whatever it holds. */
const MARK_OURS = 'stream-ingest'
/** The words that have it left alone. */
const MARKS_IGNORE = ['ignore', 'no-validate']
const OPENING = /^( *)(`{3,}|~{3,})\s*(\S*)\s*(.*?)\s*$/
const SECTION_NAMES = ['kafka', 's3', 'local', 'delta', 'processing', 'freshness', 'pipelines']
/** A text with so many of our sections at its top level is meant as a configuration. */
const SECTIONS_MIN = 2

export interface MarkdownFences {
  /**
   * The text of each configuration, on the lines and columns that it has in the page: what is wrong with it is found there.
   */
  readonly configurations: readonly string[]
  /** YAML fences that are none of ours, or marked so that they are left alone. */
  readonly skipped: number
}

/** The fences of a page whose language is `yaml` or `yml`. Beyond {@link FENCES_MAX} they count as skipped. */
export function markdownFences(page: string): MarkdownFences {
  const configurations: string[] = []
  let skipped = 0
  let open: { readonly end: RegExp; readonly info: string; readonly from: number } | null = null
  const lines = page.split('\n')
  for (let index = 0; index <= lines.length; index++) {
    const line = (lines[index] ?? '').replace(/\r$/, '')
    if (open === null) {
      const [whole, , marker = '', language = '', info = ''] = OPENING.exec(line) ?? []
      if (whole === undefined) continue
      const end = new RegExp(`^ *\\${marker[0]}{${marker.length},}\\s*$`)
      const words = `${language.toLowerCase()} ${info}`
      open = { end, info: words, from: index + 1 }
    } else if (open.end.test(line) || index === lines.length) {
      const text = lines.slice(open.from, index).join('\n')
      if (/^ya?ml\b/.test(open.info)) {
        if (configurations.length < FENCES_MAX && isMeant(open.info, text)) {
          configurations.push('\n'.repeat(open.from) + text)
        } else skipped += 1
      }
      open = null
    }
  }
  return { configurations, skipped }
}

function isMeant(info: string, text: string): boolean {
  const words = info.split(/[\s{},]+/)
  if (MARKS_IGNORE.some(mark => words.includes(mark))) return false
  return words.includes(MARK_OURS) || looksLikeConfig(text)
}

/** Has the text at least two of the sections of a configuration at its top level? */
export function looksLikeConfig(text: string): boolean {
  const indents = [...text.matchAll(/^( *)[^\s#]/gm)].map(match => (match[1] as string).length)
  const top = ' '.repeat(indents.length === 0 ? 0 : Math.min(...indents))
  const names = SECTION_NAMES.filter(name => new RegExp(`^${top}["']?${name}["']?:(\\s|$)`, 'm').test(text))
  return names.length >= SECTIONS_MIN
}
