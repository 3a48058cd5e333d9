/**
 * Runs one program as a process of its own and tells what it used: the same way for ours and for every peer.
 *
 * @module
 */
import { fileURLToPath } from 'node:url'
import { runToSuccess } from '../scripts/stack/installation.ts'

const MEASURE = fileURLToPath(new URL('measure.py', import.meta.url))

export interface ProgramCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** What a measured program prints as its last line, in JSON. */
export interface ProgramReport {
  readonly messages: number
  /** From its first line of work to its last: without the start of the program. */
  readonly workWallMs: number
  /** CPU of all its threads, user and system, before the first line of work. */
  readonly startCpuMs: number
}

/** What the kernel counted of the whole process, start included. */
export interface ProcessUsage {
  readonly wallMs: number
  readonly userMs: number
  readonly systemMs: number
  readonly peakRssBytes: number
}

export interface Measurement<Report extends ProgramReport = ProgramReport> {
  readonly usage: ProcessUsage
  readonly report: Report
}

/** Throws with the end of the program's output where it does not end well. */
export async function measureProcess<Report extends ProgramReport>(
  program: ProgramCommand,
): Promise<Measurement<Report>> {
  const python = process.env.SI_TEST_PYTHON ?? 'python3'
  const output = await runToSuccess(python, [MEASURE, program.command, ...program.args], {
    env: { ...process.env, ...program.env },
  })
  const [report, usage] = output.trim().split('\n').slice(-2)
  if (report === undefined || usage === undefined)
    throw new Error(`\`${program.command}\` printed no figures:\n${output}`)
  return { report: JSON.parse(report) as Report, usage: JSON.parse(usage) as ProcessUsage }
}
