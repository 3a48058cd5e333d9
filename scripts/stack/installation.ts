/**
 * What the dev stack downloads: kept in `.cache/stack` of the repository, one folder for each set of versions.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeFolderWhenKilled } from './managed-process.ts'
import { PartUnavailableError, StackError } from './stack-error.ts'

const CACHE = fileURLToPath(new URL('../../.cache/stack', import.meta.url))
const OUTPUT_BYTES_MAX = 1024 * 1024
const OUTPUT_LINES_SHOWN = 25

export interface CommandResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

const running = new Set<ChildProcess>()

// An installation that somebody breaks off does not go on behind their back.
process.once('exit', () => {
  for (const child of running) child.kill()
})

/** Runs a command to its end. Throws {@link PartUnavailableError} when there is no such program. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: options.env ?? process.env,
    })
    running.add(child)
    const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
    child.stdout?.on('data', chunk => output.stdout.push(chunk))
    child.stderr?.on('data', chunk => output.stderr.push(chunk))
    child.once('error', error => {
      running.delete(child)
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
      reject(isMissing ? new PartUnavailableError(`\`${command}\` is not installed`) : error)
    })
    child.once('close', (code, signal) => {
      running.delete(child)
      const stdout = Buffer.concat(output.stdout).toString('utf8')
      const stderr = Buffer.concat(output.stderr).toString('utf8')
      resolve({ exitCode: code ?? -1, stdout, stderr: signal ? `${stderr}\nended by ${signal}` : stderr })
    })
    child.stdin?.on('error', () => {
      // The program ended without reading its input; its exit code and output say why.
    })
    child.stdin?.end(options.input)
  })
}

/** {@link runCommand} that throws {@link StackError} with the end of the output when the exit code is not zero. */
export async function runToSuccess(
  command: string,
  args: readonly string[],
  options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const result = await runCommand(command, args, options)
  if (result.exitCode === 0) return result.stdout
  const output = `${result.stdout}\n${result.stderr}`.slice(-OUTPUT_BYTES_MAX).trim()
  const tail = output.split('\n').slice(-OUTPUT_LINES_SHOWN).join('\n')
  throw new StackError(`\`${command}\` ended with exit code ${result.exitCode}:\n${tail}`)
}

/**
 * The folder of an installation, made by `install` unless it is there. `inputs` are what decides the content: a change
 * of them makes a new folder. A download that breaks off leaves nothing that looks complete.
 */
export async function installOnce(
  name: string,
  inputs: readonly string[],
  install: (folder: string) => Promise<void>,
): Promise<string> {
  const hash = createHash('sha256')
  for (const input of inputs) hash.update(`${input.length}:${input}`)
  const folder = join(CACHE, `${name}-${hash.digest('hex').slice(0, 12)}`)
  const complete = join(folder, '.complete')
  if (existsSync(complete)) return folder
  const partial = `${folder}.${process.pid}.partial`
  await rm(partial, { recursive: true, force: true })
  await mkdir(partial, { recursive: true })
  removeFolderWhenKilled(partial)
  try {
    await install(partial)
    await mkdir(join(partial, '.complete'))
    // Another run may have finished meanwhile: its folder is as good.
    if (!existsSync(complete)) {
      await rm(folder, { recursive: true, force: true })
      await rename(partial, folder)
    }
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
  return folder
}

let mavenTurn: Promise<unknown> = Promise.resolve()

/** Java's class path of everything that the `pom.xml` asks for, downloaded from Maven Central once. */
export async function mavenClassPath(name: string, pomUrl: URL): Promise<string> {
  const pom = fileURLToPath(pomUrl)
  const folder = await installOnce(name, [await readFile(pom, 'utf8')], async target => {
    const args = ['--quiet', '--batch-mode', `--file=${pom}`, 'dependency:copy-dependencies']
    const download = (): Promise<string> =>
      runToSuccess('mvn', [...args, '-DincludeScope=runtime', `-DoutputDirectory=${target}`])
    // One after the other: Mavens that fill the same repository at once may spoil each other's downloads.
    const turn = mavenTurn.then(download, download)
    mavenTurn = turn
    await turn
  })
  return join(folder, '*')
}

const JAVA_VERSION_MIN = 17

/** Throws {@link PartUnavailableError} unless there is a Java that can run the servers. */
export async function requireJava(): Promise<void> {
  const { exitCode, stderr, stdout } = await runCommand('java', ['-version'])
  const version = /version "(\d+)/.exec(stderr + stdout)?.[1]
  if (exitCode !== 0 || version === undefined)
    throw new PartUnavailableError('`java -version` does not work on this machine')
  if (Number(version) < JAVA_VERSION_MIN)
    throw new PartUnavailableError(`Java ${JAVA_VERSION_MIN} or newer is needed; this is Java ${version}`)
}
