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
  /** Run by run what the program says that it has read. */
  readonly messagesRead: readonly number[]
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

/** Where the CPU of ours goes: microseconds a message. */
export interface StageFigures {
  readonly startUs: Figure
  /** Of the main thread. */
  readonly decodeUs: Figure
  readonly encodeUs: Figure
  /** The rest of the main thread: fetch, upload, commit. */
  readonly mainThreadRestUs: Figure
  /** Collection of garbage, compilation, workers. */
  readonly otherThreadsUs: Figure
  /** Of a process that only fetches, its start excluded. */
  readonly fetchUs: Figure
  /** With all that other threads do, less what they do for a process that only fetches. */
  readonly decodeAndEncodeUs: Figure
  /** Of the wall time of the work, main thread. */
  readonly gcShare: Figure
  /** Of the whole heap. */
  readonly majorCollections: Figure
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
    messagesRead: measurements.map(({ report }) => report.messages),
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
  const figure = (of: (report: IngestReport) => number): Figure =>
    figureOf(ingests.map(({ report }) => of(report)))
  const perMessageOf = (of: (report: IngestReport) => number): Figure =>
    figure(report => perMessage(of(report)))
  const fetchOthersMs = figureOf(fetches.map(({ report }) => report.otherThreadsCpuMs)).median
  return {
    startUs: perMessageOf(({ startCpuMs }) => startCpuMs),
    decodeUs: perMessageOf(({ decodeCpuMs }) => decodeCpuMs),
    encodeUs: perMessageOf(({ encodeCpuMs }) => encodeCpuMs),
    mainThreadRestUs: perMessageOf(
      ({ mainThreadCpuMs, decodeCpuMs, encodeCpuMs }) => mainThreadCpuMs - decodeCpuMs - encodeCpuMs,
    ),
    otherThreadsUs: perMessageOf(({ otherThreadsCpuMs }) => otherThreadsCpuMs),
    fetchUs: figureOf(
      fetches.map(({ report }) => perMessage(report.mainThreadCpuMs + report.otherThreadsCpuMs)),
    ),
    decodeAndEncodeUs: perMessageOf(
      ({ decodeCpuMs, encodeCpuMs, otherThreadsCpuMs }) =>
        decodeCpuMs + encodeCpuMs + otherThreadsCpuMs - fetchOthersMs,
    ),
    gcShare: figure(({ gcMs, workWallMs }) => gcMs / workWallMs),
    majorCollections: figure(({ majorCollections }) => majorCollections),
    commits: figure(({ commits }) => commits),
    files: figure(({ files }) => files),
    writtenMiB: figure(({ bytesWritten }) => bytesWritten / 2 ** 20),
  }
}
