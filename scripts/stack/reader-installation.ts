/**
 * The programs of the independent readers, installed where they are missing: delta-rs and DuckDB in a Python
 * environment, Delta Kernel with a program of ours on top of it, and Spark.
 *
 * @module
 */
import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installOnce, mavenClassPath, requireJava, runCommand, runToSuccess } from './installation.ts'
import { PartUnavailableError } from './stack-error.ts'

/** DuckDB's Delta extension exists as a package only for this DuckDB; newer ones fetch it from elsewhere. */
const REQUIREMENTS = [
  'deltalake==1.6.6',
  'pyarrow==26.0.1',
  'duckdb==1.5.5',
  'duckdb-extensions==1.5.5',
  'duckdb-extension-delta==1.5.5',
  'duckdb-extension-httpfs==1.5.5',
]
/** Brings PySpark 4.2.0. A newer one exists, but not its classes. */
const SPARK_REQUIREMENTS = ['delta-spark==4.4.0', 'pyarrow==26.0.1']
const PYTHON_MINOR_MIN = 10
const KERNEL = new URL('../readers/kernel/', import.meta.url)

/** What Spark needs to be started: an interpreter with PySpark, and the classes of Delta. */
export interface SparkInstallation {
  readonly python: string
  /** A pattern of jar files. */
  readonly jars: string
}

/** Makes the Python environment unless it is there; returns its interpreter. Throws `PartUnavailableError`. */
export async function installReaders(): Promise<string> {
  return installPython('python', REQUIREMENTS)
}

/** Java's class path of the reader on Delta Kernel, compiled. Throws `PartUnavailableError` without a JDK or Maven. */
export async function installKernelReader(): Promise<string> {
  await requireJava()
  const jars = await mavenClassPath('kernel', new URL('pom.xml', KERNEL))
  const sources = globSync(join(fileURLToPath(KERNEL), '*.java')).sort()
  const texts = await Promise.all(sources.map(source => readFile(source, 'utf8')))
  const classes = await installOnce('kernel-reader', [jars, ...texts], async target => {
    await runToSuccess('javac', ['-Xlint:none', '-cp', jars, '-d', target, ...sources])
  })
  return `${jars}:${classes}`
}

/** Half a gigabyte: for long runs alone. Throws `PartUnavailableError`. */
export async function installSpark(): Promise<SparkInstallation> {
  await requireJava()
  const [python, jars] = await Promise.all([
    installPython('spark-python', SPARK_REQUIREMENTS),
    mavenClassPath('spark', new URL('../readers/spark/pom.xml', import.meta.url)),
  ])
  return { python, jars: `${jars}.jar` }
}

/** An environment of its own for some packages; returns its interpreter. Throws `PartUnavailableError` without a Python. */
export async function installPython(name: string, requirements: readonly string[]): Promise<string> {
  const system = await findPython()
  const folder = await installOnce(name, [system.version, ...requirements], async target => {
    const created = await runCommand(system.command, ['-m', 'venv', target])
    if (created.exitCode !== 0)
      throw new PartUnavailableError(
        `\`${system.command} -m venv\` does not work on this machine: ${created.stdout.trim().split('\n')[0]}`,
      )
    const python = join(target, 'bin', 'python')
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input']
    await runToSuccess(python, [...pip, ...requirements])
  })
  return join(folder, 'bin', 'python')
}

async function findPython(): Promise<{ readonly command: string; readonly version: string }> {
  const { exitCode, stdout } = await runCommand('python3', ['--version'])
  const version = /Python 3\.(\d+)\./.exec(stdout)
  if (exitCode !== 0 || version === null)
    throw new PartUnavailableError('`python3 --version` does not work on this machine')
  if (Number(version[1]) < PYTHON_MINOR_MIN)
    throw new PartUnavailableError(
      `Python 3.${PYTHON_MINOR_MIN} or newer is needed; this is ${stdout.trim()}`,
    )
  return { command: 'python3', version: stdout.trim() }
}
