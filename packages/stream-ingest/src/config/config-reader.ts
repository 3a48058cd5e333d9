/**
 * What reading a configuration tree needs at hand: where findings go, the environment, files, secrets.
 *
 * @module
 */
import type { ConfigNode, ScalarNode } from './config-node.ts'
import type { DiagnosticSink, Span } from './diagnostic.ts'
import { quoteValue } from './diagnostic.ts'
import { type Environment, interpolate } from './interpolation.ts'
import { parseAwsSecretReference, pickSecretField, SECRET_LENGTH_MAX } from './secret.ts'

/** The text of an AWS secret, or why it is not to be had. */
export type AwsSecret =
  | { readonly text: string }
  | {
      readonly problem: string
      readonly code?: 'CONFIG_SECRET' | 'CONFIG_UNSUPPORTED'
      readonly help?: string
    }

export interface ReaderContext {
  readonly environment: Environment
  /** Reads a small text file, or throws; a relative path starts at the working directory. */
  readonly readFile: (path: string) => string
  /** An AWS secret by its id; null takes the reference for good without looking at the secret. */
  readonly awsSecret: (id: string) => AwsSecret | null
  /** Warn of what can be met and is probably not meant. */
  readonly lints?: boolean
}

/** A scalar with its variables put in. */
export interface ResolvedScalar {
  readonly kind: 'null' | 'boolean' | 'number' | 'text'
  readonly text: string
  /** Came from variables: its value is not shown in messages. */
  readonly isInterpolated: boolean
  readonly node: ScalarNode
}

export class ConfigReader {
  readonly sink: DiagnosticSink
  readonly context: ReaderContext
  /** Ids of the AWS secrets that were referred to. */
  readonly awsSecretIds = new Set<string>()
  /** Every key of every section: a key that is right elsewhere is told so. */
  readonly allKeys: readonly string[]
  readonly #sectionKeys: ReadonlyMap<string, readonly string[]>
  readonly #resolved = new Map<ScalarNode, ResolvedScalar | null>()

  constructor(
    sink: DiagnosticSink,
    context: ReaderContext,
    sectionKeys: ReadonlyMap<string, readonly string[]>,
  ) {
    this.sink = sink
    this.context = context
    this.#sectionKeys = sectionKeys
    this.allKeys = [...sectionKeys.values()].flat()
  }

  /** The names of the sections that have such a key. */
  sectionsWith(key: string): string[] {
    return [...this.#sectionKeys].filter(([, keys]) => keys.includes(key)).map(([name]) => name)
  }

  /** The scalar with its variables, or null after a finding. */
  resolve(node: ScalarNode): ResolvedScalar | null {
    const known = this.#resolved.get(node)
    if (known !== undefined) return known
    const resolved = this.#resolve(node)
    this.#resolved.set(node, resolved)
    return resolved
  }

  /** Is there no value: nothing written, `null`, or variables that give an empty text? */
  isUnset(node: ConfigNode): boolean {
    return node.kind === 'scalar' && this.resolve(node)?.kind === 'null'
  }

  /** Reports that the value is of the wrong kind. Never call it for a secret. */
  mismatch(node: ConfigNode, expected: string, help?: string, suggestion?: string): void {
    const detail = {
      ...(help === undefined ? {} : { help }),
      ...(suggestion === undefined ? {} : { suggestion }),
    }
    this.sink.error(
      'CONFIG_INVALID_VALUE',
      node.span,
      `expected ${expected}, found ${this.describe(node)}`,
      detail,
    )
  }

  /** The value in words: `the number 60`, `a list`. Values that come from variables are named, not shown. */
  describe(node: ConfigNode): string {
    if (node.kind !== 'scalar') return node.kind === 'list' ? 'a list' : 'a map'
    const resolved = this.resolve(node)
    if (resolved === null || resolved.kind === 'null') return 'nothing'
    if (resolved.isInterpolated) return `the value of ${quoteValue(node.text)}`
    if (resolved.kind === 'text') {
      return resolved.text === '' ? 'an empty text' : `the text ${quoteValue(resolved.text)}`
    }
    return resolved.kind === 'number' ? `the number ${node.text}` : `\`${node.text}\``
  }

  /** The text of a file without the newline at its end, or null after a finding. */
  readTextFile(path: string, span: Span): string | null {
    let text: string
    try {
      text = this.context.readFile(path)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.sink.error('CONFIG_SECRET', span, `cannot read ${quoteValue(path)}: ${reason}`, {
        help: 'a relative path starts at the working directory',
      })
      return null
    }
    if (text.length > SECRET_LENGTH_MAX) {
      this.sink.error(
        'CONFIG_SECRET',
        span,
        `${quoteValue(path)} has ${text.length} characters, at most ${SECRET_LENGTH_MAX} are read`,
      )
      return null
    }
    return text.replace(/\r?\n$/, '')
  }

  /** The text of an AWS secret (empty where secrets are only checked), or null after a finding. */
  readAwsSecret(reference: string, span: Span): string | null {
    const parsed = parseAwsSecretReference(reference)
    if (parsed === null) {
      this.sink.error('CONFIG_INVALID_VALUE', span, 'expected the id of an AWS secret, or `id#field`')
      return null
    }
    this.awsSecretIds.add(parsed.id)
    const secret = this.context.awsSecret(parsed.id)
    if (secret === null) return ''
    if ('problem' in secret) {
      const { problem, code = 'CONFIG_SECRET', help } = secret
      const message = `AWS secret ${quoteValue(parsed.id)}: ${problem}`
      this.sink.error(code, span, message, help === undefined ? {} : { help })
      return null
    }
    const picked = pickSecretField(secret.text, parsed.field)
    if (picked === null) {
      this.sink.error(
        'CONFIG_SECRET',
        span,
        `AWS secret ${quoteValue(parsed.id)} is no JSON object with a text field ${quoteValue(parsed.field ?? '')}`,
      )
    }
    return picked
  }

  #resolve(node: ScalarNode): ResolvedScalar | null {
    const { value } = node
    if (value === null) return { kind: 'null', text: '', isInterpolated: false, node }
    if (typeof value === 'boolean')
      return { kind: 'boolean', text: String(value), isInterpolated: false, node }
    if (typeof value !== 'string') return { kind: 'number', text: node.text, isInterpolated: false, node }
    const interpolated = interpolate(value, this.context.environment)
    if (!interpolated.ok) {
      const { message, help } = interpolated
      this.sink.error('CONFIG_VARIABLE', node.span, message, help === undefined ? {} : { help })
      return null
    }
    const { text, hasVariables } = interpolated
    // An empty plain scalar is null in YAML; one that variables left empty is treated alike.
    if (hasVariables && text === '') return { kind: 'null', text, isInterpolated: true, node }
    return { kind: 'text', text, isInterpolated: hasVariables, node }
  }
}
