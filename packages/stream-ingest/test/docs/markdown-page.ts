/**
 * The pages of the documentation as tests see them: fences, headings, links.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))

export interface Fence {
  /** The first word behind the backticks; empty where there is none. */
  readonly language: string
  /** What follows it: in `docs/start`, a file's name, or `second terminal`. */
  readonly title: string
  readonly text: string
  /** Of the first line of the text, from one. */
  readonly line: number
}

export interface Page {
  /** From the root, with `/`. */
  readonly path: string
  readonly text: string
  readonly fences: readonly Fence[]
}

/** A Markdown file of the repository. */
export function readPage(path: string): Page {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const fences = [...text.matchAll(/^```([^\s`]*)([^\n`]*)\n(.*?)^```$/gms)].map(match => ({
    language: match[1] as string,
    title: (match[2] as string).trim(),
    text: match[3] as string,
    line: text.slice(0, match.index).split('\n').length + 1,
  }))
  return { path, text, fences }
}

/** Every Markdown file that is part of the repository. */
export function allMarkdownPaths(): string[] {
  try {
    const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z', '*.md'], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return listed
      .split('\0')
      .filter(path => path !== '')
      .sort()
  } catch {
    // No git checkout: what is there, but for what was installed.
    return globSync('**/*.md', { cwd: ROOT, exclude: ['**/node_modules/**', '.cache/**'] })
      .map(path => path.replaceAll('\\', '/'))
      .sort()
  }
}

/** README.md and everything below docs/. */
export function documentationPaths(): string[] {
  return allMarkdownPaths().filter(path => path === 'README.md' || path.startsWith('docs/'))
}

/** Where it stands, for the message of a test. */
export function placeOf(page: Page, fence: Fence): string {
  return `${page.path}:${fence.line}`
}

/** The text without what stands in fences and in code spans. */
export function proseOf(text: string): string {
  return text.replaceAll(/^```.*?^```$/gms, '').replaceAll(/(`+)[^`].*?\1/g, '')
}

/** Anchors as GitHub makes them of headings. */
export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>()
  const headings = text.replaceAll(/^```.*?^```$/gms, '').matchAll(/^#{1,6} +(.+?) *#*$/gm)
  for (const [, heading] of headings) {
    const plain = (heading as string).replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    const slug = plain
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}_\- ]/gu, '')
      .replaceAll(' ', '-')
    let anchor = slug
    for (let repeat = 1; anchors.has(anchor); repeat++) anchor = `${slug}-${repeat}`
    anchors.add(anchor)
  }
  for (const [, id] of text.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(id as string)
  return anchors
}
