/**
 * Measures all contenders on one data set, in turn (A B C, A B C, …), so that what the machine does meanwhile meets all.
 *
 * @module
 */
import type { Contender, ContenderName } from './contender.ts'
import type { Dataset } from './dataset.ts'
import { type Figure, figureOf } from './figure.ts'
import type { IngestReport } from './ingest.ts'
import { type Measurement, measureProcess, type ProgramReport } from './measured-process.ts'
import type { OurReport } from './work-clock.ts'

/** Of ours and of a peer alike, run by run. */
export interface ContenderFigures {
  readonly name: ContenderName
  readonly title: string
  /** The start of the program excluded. */
  readonly messagesPerSecond: Figure
  readonly megabytesPerSecond: Figure
  /** Microseconds a message, user and system, of the whole process. */
  readonly cpuUs: Figure
  readonly userUs: Figure
  readonly systemUs: Figure
  /** Microseconds a message, the start of the program excluded. */
  readonly workCpuUs: Figure
  readonly startCpuMs: Figure
  readonly startWallMs: Figure
  readonly peakRssMiB: Figure
}

/** Where the time of ours goes: microseconds of CPU a message. */
export interface StageFigures {
  readonly startUs: Figure
  /** Of the process that only fetches. */
  readonly fetchUs: Figure
  readonly decodeUs: Figure
  readonly encodeUs: Figure
  readonly decodeAndEncodeUs: Figure
  /** The rest: waiting, upload, commit. */
  readonly restUs: Figure
  /** Of the wall time of the work, main thread. */
  readonly gcShare: Figure
  readonly commits: Figure
  readonly files: Figure
  readonly writtenMiB: Figure
}

export interface Comparison {
  readonly shape: string
  readonly title: string
  readonly messageCount: number
  readonly messageBytes: number
  readonly columnCount: number
  readonly contenders: readonly ContenderFigures[]
  readonly stages: StageFigures
}

/** Throws where a contender does not read every message that was written. */
export async function compare(
  name: { readonly shape: string; readonly title: string },
  dataset: Dataset,
  contenders: readonly Contender[],
  runs: number,
  progressed: (run: number, contender: Contender) => void,
): Promise<Comparison> {
  const { messageCount, valueBytes, columns } = dataset
  const measurements = new Map<ContenderName, Measurement[]>(contenders.map(one => [one.name, []]))
  for (let run = 0; run < runs; run++) {
    for (const contender of contenders) {
      progressed(run, contender)
      const measurement = await measureProcess(contender.command(dataset, run))
      assertWhole(contender.title, measurement.report, messageCount)
      measurements.get(contender.name)!.push(measurement)
    }
  }
  return {
    ...name,
    messageCount,
    messageBytes: valueBytes / messageCount,
    columnCount: columns.length,
    contenders: contenders.map(({ name, title }) => ({
      name,
      title,
      ...usageFigures(measurements.get(name)!, dataset),
    })),
    stages: stageFigures(
      measurements.get('ingest') as Measurement<IngestReport>[],
      measurements.get('fetch') as Measurement<OurReport>[],
      messageCount,
    ),
  }
}

export function assertWhole(title: string, { messages }: ProgramReport, messageCount: number): void {
  if (messages !== messageCount)
    throw new Error(`${title}: ${messages} of ${messageCount} messages were read`)
}

export function usageFigures(
  measurements: readonly Measurement[],
  { messageCount, valueBytes }: { readonly messageCount: number; readonly valueBytes: number },
): Omit<ContenderFigures, 'name' | 'title'> {
  const figure = (of: (one: Measurement) => number): Figure => figureOf(measurements.map(of))
  const perMessage = (ms: number): number => (ms * 1000) / messageCount
  const cpuMs = ({ usage }: Measurement): number => usage.userMs + usage.systemMs
  return {
    messagesPerSecond: figure(({ report }) => (messageCount / report.workWallMs) * 1000),
    megabytesPerSecond: figure(({ report }) => valueBytes / 1e6 / (report.workWallMs / 1000)),
    cpuUs: figure(one => perMessage(cpuMs(one))),
    userUs: figure(({ usage }) => perMessage(usage.userMs)),
    systemUs: figure(({ usage }) => perMessage(usage.systemMs)),
    workCpuUs: figure(one => perMessage(cpuMs(one) - one.report.startCpuMs)),
    startCpuMs: figure(({ report }) => report.startCpuMs),
    startWallMs: figure(({ usage, report }) => usage.wallMs - report.workWallMs),
    peakRssMiB: figure(({ usage }) => usage.peakRssBytes / 2 ** 20),
  }
}

function stageFigures(
  ingests: readonly Measurement<IngestReport>[],
  fetches: readonly Measurement<OurReport>[],
  messageCount: number,
): StageFigures {
  const perMessage = (ms: number): number => (ms * 1000) / messageCount
  const fetchUs = figureOf(fetches.map(({ report }) => perMessage(report.workCpuMs)))
  const figure = (of: (report: IngestReport) => number): Figure =>
    figureOf(ingests.map(({ report }) => of(report)))
  return {
    startUs: figure(({ startCpuMs }) => perMessage(startCpuMs)),
    fetchUs,
    decodeUs: figure(({ decodeCpuMs }) => perMessage(decodeCpuMs)),
    encodeUs: figure(({ encodeCpuMs }) => perMessage(encodeCpuMs)),
    decodeAndEncodeUs: figure(({ decodeCpuMs, encodeCpuMs }) => perMessage(decodeCpuMs + encodeCpuMs)),
    restUs: figure(
      ({ workCpuMs, decodeCpuMs, encodeCpuMs }) =>
        perMessage(workCpuMs - decodeCpuMs - encodeCpuMs) - fetchUs.median,
    ),
    gcShare: figure(({ gcMs, workWallMs }) => gcMs / workWallMs),
    commits: figure(({ commits }) => commits),
    files: figure(({ files }) => files),
    writtenMiB: figure(({ bytesWritten }) => bytesWritten / 2 ** 20),
  }
}
