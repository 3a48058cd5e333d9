/**
 * Did-you-mean for topics.
 *
 * @module
 */

const DISTANCE_MAX = 2
const LENGTH_MAX = 249 // Kafka's own limit for topic names.

/** The existing topic that a misspelled one most likely stands for, or null. */
export function suggestTopic(wanted: string, existing: readonly string[]): string | null {
  let best: string | null = null
  let bestDistance = DISTANCE_MAX + 1
  for (const name of existing) {
    const distance = normalise(name) === normalise(wanted) ? 0 : editDistance(wanted, name)
    if (distance < bestDistance) {
      best = name
      bestDistance = distance
    }
  }
  return best
}

/** `user_events`, `user.events` and `User-Events` are one topic in people's minds. */
function normalise(name: string): string {
  return name.toLowerCase().replaceAll(/[._-]/g, '')
}

/** Levenshtein distance; above {@link DISTANCE_MAX} it is only said to be above. */
function editDistance(source: string, target: string): number {
  if (Math.abs(source.length - target.length) > DISTANCE_MAX) return DISTANCE_MAX + 1
  if (source.length > LENGTH_MAX) return DISTANCE_MAX + 1
  let row = Array.from({ length: target.length + 1 }, (_, index) => index)
  for (let i = 1; i <= source.length; i++) {
    const next = [i]
    for (let j = 1; j <= target.length; j++) {
      const replaced = row[j - 1]! + (source[i - 1] === target[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[target.length]!
}
