/**
 * Did-you-mean: the known word that a misspelled one stands for.
 *
 * @module
 */

/** Words longer than this are nobody's misspelling; the bound keeps the comparison cheap. */
const WORD_LENGTH_MAX = 64

/**
 * Edits between two words: insertion, deletion, replacement, swap of neighbours (optimal string alignment).
 * Quadratic: meant for words, not for texts.
 */
export function editDistance(source: string, target: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: target.length + 1 }, (_, index) => index)
  for (let i = 1; i <= source.length; i++) {
    const row = [i]
    for (let j = 1; j <= target.length; j++) {
      const cost = source[i - 1] === target[j - 1] ? 0 : 1
      let best = Math.min((last[j] as number) + 1, (row[j - 1] as number) + 1, (last[j - 1] as number) + cost)
      const isSwap = i > 1 && j > 1 && source[i - 1] === target[j - 2] && source[i - 2] === target[j - 1]
      if (isSwap) best = Math.min(best, (beforeLast[j - 2] as number) + 1)
      row.push(best)
    }
    beforeLast = last
    last = row
  }
  return last[target.length] as number
}

/**
 * The candidate nearest to `word`, or null where none is near enough. Spelling of case and of separators does not count
 * (`bootstrapServers`, `bootstrap.servers`). Among equally near ones the first wins: order candidates by likelihood.
 */
export function nearestWord(word: string, candidates: Iterable<string>): string | null {
  if (word.length > WORD_LENGTH_MAX) return null
  const normal = normalize(word)
  const limit = Math.min(3, Math.max(1, Math.floor(normal.length / 3)))
  let best: string | null = null
  let bestDistance = limit + 1
  for (const candidate of candidates) {
    const target = normalize(candidate)
    const distance = editDistance(normal, target) + tieBreak(word, candidate, normal, target)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/**
 * Among words that are equally near: letters in another order are the likelier slip than other letters, then the word as
 * written decides between two that differ from it in separators alone. Below one edit in all.
 */
function tieBreak(word: string, candidate: string, normal: string, target: string): number {
  const hasSameLetters = [...normal].toSorted().join('') === [...target].toSorted().join('')
  return (hasSameLetters ? 0 : 0.1) + 0.001 * Math.min(9, editDistance(word, candidate))
}

function normalize(word: string): string {
  return word.toLowerCase().replaceAll(/[-_. ]/g, '')
}
