/**
 * Secrets: a value that does not leak, and the places from which one is read.
 *
 * @module
 */

/** A value that prints as `[secret]` wherever it could leak: logs, JSON, `inspect`. */
export class Secret {
  readonly #value: string
  constructor(value: string) {
    this.#value = value
  }
  /** The plain text: hand it to the client that needs it, and to nothing else. */
  reveal(): string {
    return this.#value
  }
  toString(): string {
    return '[secret]'
  }
  toJSON(): string {
    return '[secret]'
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]'
  }
}

/** What a secret read from a file, a variable or a certificate may hold at most, in characters. */
export const SECRET_LENGTH_MAX = 64 * 1024

/** `id#field` of AWS Secrets Manager: the id (or ARN) and, optionally, a field of the JSON object it holds. */
export interface AwsSecretReference {
  readonly id: string
  readonly field: string | null
}

export function parseAwsSecretReference(text: string): AwsSecretReference | null {
  const hash = text.lastIndexOf('#')
  const id = hash === -1 ? text : text.slice(0, hash)
  const field = hash === -1 ? null : text.slice(hash + 1)
  return id === '' || field === '' ? null : { id, field }
}

/** The field of a secret's text, or the whole text; null where the text is no object with such a text field. */
export function pickSecretField(text: string, field: string | null): string | null {
  if (field === null) return text
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, field)) return null
  const picked = (value as Record<string, unknown>)[field]
  return typeof picked === 'string' ? picked : typeof picked === 'number' ? String(picked) : null
}
