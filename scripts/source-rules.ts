/**
 * What the architecture tests of both packages look at: source files, what they import, what they must not hold.
 *
 * @module
 */
import { globSync, readFileSync } from 'node:fs'
import { basename, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface SourceFile {
  /** Relative to the source folder, with `/`. */
  readonly path: string
  readonly text: string
  /** As written, static, dynamic and type-only. */
  readonly imports: readonly string[]
}

const IMPORT =
  /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*'([^']+)'|^\s*import\s*'([^']+)'|\bimport\(\s*'([^']+)'/gm
const COMMENT = /\/\*.*?\*\/|^\s*\/\/[^\n]*$/gms
const LINES_MAX = 500
const NAMELESS = /^(utils?|helpers?|common|types?|misc|shared)$/
/** The world outside: only where the program begins are these read; everywhere else they are arguments. */
const OUTSIDE_WORLD: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['process.env', /\bprocess\.env\b/],
  ['process.exit', /\bprocess\.exit\b(?!Code)/],
  ['Date.now()', /\bDate\.now\(/],
  ['new Date()', /\bnew Date\(\)/],
  ['Math.random()', /\bMath\.random\(/],
]

/** All TypeScript sources under a folder of the repository. */
export function sourceFiles(folder: URL): readonly SourceFile[] {
  const root = fileURLToPath(folder)
  return globSync('**/*.ts', { cwd: root })
    .sort()
    .map(path => {
      const text = readFileSync(join(root, path), 'utf8')
      const code = text.replaceAll(COMMENT, '')
      const imports = [...code.matchAll(IMPORT)].map(found => found[1] ?? found[2] ?? found[3] ?? '')
      return { path: path.replaceAll('\\', '/'), text, imports }
    })
}

/** The file that a relative import means, relative to the source folder. */
export function importedPath(file: SourceFile, specifier: string): string {
  return posix.join(posix.dirname(file.path), specifier)
}

/** The first folder of a path, or the file's own name for one at the top. */
export function layerOf(path: string): string {
  return path.split('/')[0] ?? path
}

/** The package that a bare import means: `@aws-sdk/client-s3/x` is `@aws-sdk/client-s3`. */
export function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

export function isBare(specifier: string): boolean {
  return !specifier.startsWith('.') && !specifier.startsWith('node:')
}

/** Bare imports of packages that the manifest does not declare. */
export function undeclaredImports(files: readonly SourceFile[], manifest: URL): string[] {
  const { dependencies = {}, peerDependencies = {} } = JSON.parse(readFileSync(manifest, 'utf8'))
  const declared = { ...dependencies, ...peerDependencies }
  return files.flatMap(file =>
    file.imports
      .filter(specifier => isBare(specifier) && !(packageOf(specifier) in declared))
      .map(
        specifier => `${file.path} imports \`${specifier}\`, which is not among the package's dependencies`,
      ),
  )
}

/** Reads of clock, chance and environment outside the layers where the program begins. */
export function outsideWorldReads(files: readonly SourceFile[], entryLayers: readonly string[]): string[] {
  return files
    .filter(file => !entryLayers.includes(layerOf(file.path)))
    .flatMap(file => {
      const code = file.text.replaceAll(COMMENT, '')
      return OUTSIDE_WORLD.filter(([, pattern]) => pattern.test(code)).map(
        ([name]) => `${file.path} uses \`${name}\`: below the entry points it comes as an argument`,
      )
    })
}

/** Files too long to read in one go, or named after nothing. */
export function shapelessFiles(files: readonly SourceFile[]): string[] {
  return files.flatMap(file => {
    const lineCount = file.text.trimEnd().split('\n').length
    const problems: string[] = []
    if (lineCount > LINES_MAX)
      problems.push(`${file.path} has ${lineCount} lines: split it by subject (at most ${LINES_MAX})`)
    if (NAMELESS.test(basename(file.path, '.ts')))
      problems.push(`${file.path}: name the file after what it holds`)
    return problems
  })
}
