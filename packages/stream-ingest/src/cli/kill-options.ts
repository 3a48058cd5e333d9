/**
 * Dying at a chosen write: for chaos tests and the demonstration.
 *
 * @module
 */
import type { ProcessorOptions } from '../pipeline/stream-ingest-processor.ts'
import { killingStore, parseKillPlan } from '../testing/kill-point.ts'
import type { CommandIo } from './command-io.ts'

/** For chaos tests and the demonstration: die at a chosen write, by a real SIGKILL. */
export function killOptions(io: CommandIo): ProcessorOptions {
  const killAt = io.env.STREAM_INGEST_KILL_AT
  if (killAt === undefined || killAt === '') return {}
  const plan = parseKillPlan(killAt)
  return {
    wrapStore: store => killingStore(store, plan, () => io.kill()),
  }
}
