/**
 * What was found in place of what was expected, bounded and printable.
 *
 * @module
 */

/** Longest excerpt of a value in a message, in characters. */
export const EXCERPT_MAX = 80

/** Longest payload path in a message, in characters. */
export const PATH_MAX = 200

const textDecoder = new TextDecoder('utf-8')

/** `the string "abc"`, `the number 1.5`, `null`, by the JSON text in `[start, end)`. */
export function describeJsonValue(b: Uint8Array, start: number, end: number): string {
  const text = excerpt(b, start, end)
  switch (b[start]) {
    case 0x22:
      return `the string ${text}`
    case 0x7b:
      return `the object ${text}`
    case 0x5b:
      return `the array ${text}`
    case 0x74:
    case 0x66:
      return `the boolean ${text}`
    case 0x6e:
      return 'null'
    default:
      return `the number ${text}`
  }
}

/** The bytes as text of at most {@link EXCERPT_MAX} printable characters, with `…` where something was cut. */
export function excerpt(b: Uint8Array, start: number, end: number): string {
  const whole = textDecoder.decode(b.subarray(start, Math.min(end, start + EXCERPT_MAX * 4)))
  const characters = [...whole]
  const isCut = characters.length > EXCERPT_MAX || end - start > EXCERPT_MAX * 4
  const kept = isCut ? characters.slice(0, EXCERPT_MAX - 1) : characters
  const printable = kept.map(c => (/[\p{C}\p{Zl}\p{Zp}]/u.test(c) ? '\ufffd' : c)).join('')
  return isCut ? `${printable}…` : printable
}

/** `.name`, or `["na me"]` where the key is not a plain word. */
export function pathSegment(key: string): string {
  if (/^[\p{L}_][\p{L}\p{N}_-]*$/u.test(key) && key.length <= EXCERPT_MAX) return `.${key}`
  const bytes = new TextEncoder().encode(key)
  return `[${JSON.stringify(excerpt(bytes, 0, bytes.length))}]`
}

/** A path cut to {@link PATH_MAX}, from the left end kept. */
export function boundedPath(path: string): string {
  return path.length <= PATH_MAX ? path : `${path.slice(0, PATH_MAX - 1)}…`
}
