/**
 * Environment variables inside scalar values, put in after the text was parsed: a value cannot change the structure.
 *
 * ```
 * ${NAME}            the variable; an error where it is not set
 * ${NAME:-default}   the default where it is not set or empty; the default may hold variables itself
 * ${NAME:?message}   an error with this message where it is not set or empty
 * $$                 a dollar sign
 * ```
 *
 * @module
 */

export type Environment = Readonly<Record<string, string | undefined>>

export type Interpolated =
  | { readonly ok: true; readonly text: string; readonly hasVariables: boolean }
  | { readonly ok: false; readonly message: string; readonly help?: string }

const NESTING_MAX = 8
/** Of a scalar after its variables are put in: room for a certificate chain. */
export const INTERPOLATED_LENGTH_MAX = 1024 * 1024
const NAME = /^[A-Za-z_][A-Za-z0-9_]*/

export function interpolate(text: string, environment: Environment, nesting = 0): Interpolated {
  if (!text.includes('$')) return { ok: true, text, hasVariables: false }
  let result = ''
  let hasVariables = false
  for (let at = 0; at < text.length; ) {
    const dollar = text.indexOf('$', at)
    if (dollar === -1) {
      result += text.slice(at)
      break
    }
    result += text.slice(at, dollar)
    const next = text[dollar + 1]
    if (next !== '{') {
      result += '$'
      at = dollar + (next === '$' ? 2 : 1)
      continue
    }
    const end = closingBrace(text, dollar + 2)
    if (end === -1)
      return { ok: false, message: `\`\${\` has no closing \`}\``, help: 'write `$$` for a dollar sign' }
    const expanded = expand(text.slice(dollar + 2, end), environment, nesting)
    if (!expanded.ok) return expanded
    hasVariables = true
    result += expanded.text
    if (result.length > INTERPOLATED_LENGTH_MAX) {
      return {
        ok: false,
        message: `the value has more than ${INTERPOLATED_LENGTH_MAX} characters with its variables`,
      }
    }
    at = end + 1
  }
  return { ok: true, text: result, hasVariables }
}

function closingBrace(text: string, from: number): number {
  let depth = 1
  for (let at = from; at < text.length; at++) {
    if (text.startsWith('${', at)) depth += 1
    else if (text[at] === '}') {
      depth -= 1
      if (depth === 0) return at
    }
  }
  return -1
}

function expand(expression: string, environment: Environment, nesting: number): Interpolated {
  const name = NAME.exec(expression)?.[0]
  const rest = name === undefined ? expression : expression.slice(name.length)
  const operator = rest.slice(0, 2)
  if (name === undefined || (rest !== '' && operator !== ':-' && operator !== ':?')) {
    return {
      ok: false,
      message: `\`\${${expression.slice(0, 40)}}\` is no variable`,
      help: `write \`\${NAME}\`, \`\${NAME:-default}\` or \`\${NAME:?message}\`; \`$$\` is a dollar sign`,
    }
  }
  const value = environment[name]
  if (value !== undefined && (value !== '' || rest === ''))
    return { ok: true, text: value, hasVariables: true }
  if (operator === ':-') {
    if (nesting >= NESTING_MAX)
      return { ok: false, message: `defaults are nested deeper than ${NESTING_MAX}` }
    return interpolate(rest.slice(2), environment, nesting + 1)
  }
  const said = rest.slice(2).trim()
  return {
    ok: false,
    message: `the environment variable \`${name}\` is not set${said === '' ? '' : `: ${said}`}`,
    help: `set \`${name}\`, or give a default: \`\${${name}:-default}\``,
  }
}
