/**
 * What each verb really prints with `--json`: documents of good and of bad outcomes, with whatever only some of them hold.
 *
 * @module
 */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { documentOf, type Outcome, run, sound, Workplace } from '../cli/command-harness.ts'

export type Documents = Map<string, Record<string, unknown>[]>

const QUARANTINE = { processing: { on_bad_record: 'quarantine' }, delta: { optimize: { every: '1h' } } }
/** Takes the record that did not fit: its id is elsewhere. */
const CORRECTED = {
  ...QUARANTINE,
  delta: {
    ...QUARANTINE.delta,
    schema: [
      { name: 'id', data_type: 'int64', nullable: false, metadata: { source: 'uid' } },
      { name: 'name', data_type: 'utf8' },
    ],
  },
}
const FILE = 'pipeline.yaml'
/** Nobody listens there. */
const NOWHERE = '127.0.0.1:1'

/** Documents by verb; under `error` those of commands that failed. */
export async function printEveryDocument(t: TestContext): Promise<Documents> {
  const documents: Documents = new Map()
  const note = (verb: string, outcome: Outcome): Outcome => {
    documents.set(verb, [...(documents.get(verb) ?? []), documentOf(outcome)])
    return outcome
  }
  await using broker = await EmbeddedBroker.start({ topics: [{ name: 'events', partitions: 2 }] })
  const workplace = await Workplace.open(t, broker.bootstrapServers)
  const { folder, tablePath } = workplace
  const show = async (verb: string, ...words: string[]): Promise<Outcome> =>
    note(verb, await run([...verb.split(' '), ...words, '--json'], { cwd: folder }))

  await show('demo', '--rows', '24', '--dir', join(folder, 'demo'))
  await show('init', 'new')
  await show('explain', 'KAFKA_TOPIC_NOT_FOUND')
  await show('explain')
  note('error', await run(['read', 'nowhere', '--json'], { cwd: folder }))

  broker.produce('events', 0, [
    ...sound(0, 3),
    { value: '{"id":"three","uid":3}', key: 'k', headers: [['a', 'b']] },
  ])
  broker.produce('events', 1, [{ value: null, key: 'k' }, ...sound(4, 6)])
  await workplace.configure(QUARANTINE)
  await show('status')
  await show('validate', FILE)
  await writeFile(join(folder, 'wrong.yaml'), 'kafak: {}\n')
  await show('validate', 'wrong.yaml')
  await show('doctor', FILE)
  await show('tap', FILE)
  await show('run', FILE, '--until-latest', '--quiet')
  note('run', await failing(workplace, broker))
  await workplace.configure(QUARANTINE)
  await show('status', FILE, '--reconcile')
  await show('offsets show', FILE)
  await show('inspect topic', FILE)

  const parts = ['--history', '--files', '--schema', '--offsets', '--action', '1']
  await show('inspect table', tablePath, ...parts)
  await show('read', tablePath)
  await show('check', tablePath, '--deep')
  await show('quarantine list', FILE)
  await workplace.configure(CORRECTED)
  await show('quarantine replay', FILE, '--dry-run')
  await show('quarantine replay', FILE)
  await workplace.configure({ ...QUARANTINE, kafka: { bootstrap_servers: NOWHERE } })
  await show('doctor', FILE, '--timeout', '1s')
  await show('status', FILE)

  await workplace.configure(QUARANTINE)
  await show('offsets set', FILE, '--to', '1', '--partition', '0', '--dry-run', '--force')
  await show('offsets set', FILE, '--to', '1', '--partition', '0', '--yes', '--force', '--reason', 'a test')
  await show('offsets reset', FILE, '--to', 'earliest', '--yes', '--force')
  await show('optimize', tablePath, '--dry-run')
  await show('optimize', tablePath)
  await show('vacuum', tablePath, '--dry-run')
  await show('vacuum', tablePath)
  await show('checkpoint', tablePath, '--dry-run')
  await show('checkpoint', tablePath)
  await show('inspect table', tablePath, ...parts)
  const { fileList } = documents.get('inspect table')!.at(-1) as { fileList: { path: string }[] }
  // One that the table names: others lie there too.
  await rm(join(tablePath, decodeURIComponent(fileList[0]!.path)))
  await show('check', tablePath)
  return documents
}

/** A run that stops at a record which does not fit. */
async function failing(workplace: Workplace, broker: EmbeddedBroker): Promise<Outcome> {
  broker.produce('events', 0, [{ value: '{"id":"six"}' }])
  return workplace.ingest({ processing: { on_bad_record: 'stop' } })
}
