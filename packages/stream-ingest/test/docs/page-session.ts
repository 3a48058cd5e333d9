/**
 * A page of `docs/start` as one shell session, so that what is tested is what is read.
 *
 * - A fence `sh` is typed into the first terminal, in the order of the page; a line that fails ends the session.
 * - A fence `sh second terminal` runs beside it until the session is over.
 * - A fence whose title is a file's name is that file.
 * - A fence `text` is output that the session has shown by its end.
 * - Every other fence is for the eye.
 *
 * @module
 */
import type { Page } from './markdown-page.ts'

/** A command that a test cannot give as it stands, and what does the same in the place of the test. */
export type Replacements = ReadonlyMap<string, string>

/**
 * The session as a script for bash.
 *
 * @throws where a replaced line is not in the page: the page has changed, and the rule has not
 */
export function sessionScript(page: Page, replacements: Replacements): string {
  const unused = new Set(replacements.keys())
  // npm hands a signal to its shell alone: with job control each job is a group, and ends with all that it has started.
  const endJobs = 'for job in $(jobs -p); do kill -- "-$job" 2>/dev/null || true; done'
  const parts = ['set -euo pipefail -m', `trap '${endJobs}' EXIT`]
  for (const fence of page.fences) {
    if (fence.language === 'sh' && fence.title === 'second terminal') {
      parts.push(`(exec ${fence.text.trim()}) > second-terminal.log 2>&1 &`)
      const failed = '{ cat second-terminal.log; exit 1; }'
      parts.push('second=$!', 'until grep -q "until Ctrl-C" second-terminal.log; do')
      parts.push(`  kill -0 "$second" || ${failed}`, '  sleep 0.05', 'done')
    } else if (fence.language === 'sh') {
      for (const line of fence.text.trimEnd().split('\n')) {
        const replacement = replacements.get(line)
        unused.delete(line)
        parts.push(`echo ${quote(`$ ${line}`)}`, replacement ?? line)
      }
    } else if (fence.title !== '') {
      parts.push(`cat > ${quote(fence.title)} <<'END_OF_FILE'\n${fence.text}END_OF_FILE`)
    }
  }
  if (unused.size > 0) throw new Error(`${page.path} has no line \`${[...unused].join('`, `')}\``)
  return `${parts.join('\n')}\n`
}

/** What the page says that one sees. */
export function shownOutputs(page: Page): string[] {
  return page.fences.filter(({ language }) => language === 'text').map(({ text }) => text.trim())
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
