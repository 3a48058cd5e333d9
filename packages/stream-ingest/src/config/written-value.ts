/**
 * Values of any shape, read from YAML as the JSON that they stand for.
 *
 * @module
 */
import type { ConfigNode } from './config-node.ts'
import type { ConfigReader, ResolvedScalar } from './config-reader.ts'
import type { WrittenValue } from './config-test.ts'

/** RFC 8259 › Numbers. */
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
/** YAML 1.2 › Core Schema: what JSON does not write like this. */
const YAML_NUMBER = /^([-+]?)(\d*)(?:\.(\d*))?([eE][-+]?\d+)?$/
const YAML_INFINITY = /^([-+]?)\.inf$/i
/** A number in JSON that no double is as large as. */
const INFINITE = '1e999'

/**
 * The value with its variables put in; undefined after a finding.
 *
 * @param allowInfinity may `.inf` stand there? In a payload it may not, which is JSON
 */
export function readWritten(
  node: ConfigNode,
  reader: ConfigReader,
  allowInfinity: boolean,
): WrittenValue | undefined {
  switch (node.kind) {
    case 'scalar': {
      const scalar = reader.resolve(node)
      if (scalar === null) return undefined
      const json = scalarJson(scalar, allowInfinity)
      if (json !== null) return { kind: 'scalar', json, span: node.span }
      reader.mismatch(node, 'a value that JSON has', 'JSON has no `.nan`, and a payload no `.inf`')
      return undefined
    }
    case 'list': {
      const items = node.items.map(item => readWritten(item, reader, allowInfinity))
      return items.includes(undefined)
        ? undefined
        : { kind: 'list', items: items as WrittenValue[], span: node.span }
    }
    case 'map': {
      const entries = node.entries.map(({ key, keySpan, value: child }) => {
        const value = readWritten(child, reader, allowInfinity)
        return value === undefined ? undefined : { key, keySpan, value }
      })
      const complete = entries.filter(entry => entry !== undefined)
      return complete.length < entries.length
        ? undefined
        : { kind: 'map', entries: complete, span: node.span }
    }
  }
}

function scalarJson({ kind, text }: ResolvedScalar, allowInfinity: boolean): string | null {
  switch (kind) {
    case 'null':
      return 'null'
    case 'boolean':
      return text.toLowerCase()
    case 'text':
      return JSON.stringify(text)
    case 'number':
      return numberJson(text, allowInfinity)
  }
}

/** The number with all of its digits; null where JSON has no such number. */
function numberJson(written: string, allowInfinity: boolean): string | null {
  if (JSON_NUMBER.test(written)) return written
  if (/^0[xo][0-9a-f]+$/i.test(written)) return String(BigInt(written))
  const infinite = YAML_INFINITY.exec(written)
  if (infinite !== null) return allowInfinity ? `${minus(infinite[1])}${INFINITE}` : null
  const [, sign, whole = '', fraction = '', exponent = ''] = YAML_NUMBER.exec(written) ?? []
  if (sign === undefined) return null
  const digits = whole.replace(/^0+(?=\d)/, '') || '0'
  return `${minus(sign)}${digits}${fraction === '' ? '' : `.${fraction}`}${exponent}`
}

function minus(sign: string | undefined): string {
  return sign === '-' ? '-' : ''
}
