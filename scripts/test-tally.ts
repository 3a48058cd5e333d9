/**
 * A reporter for `node --test` that writes one JSON document: the totals, and which tests did not really run. It goes
 * to a file beside the reporter that people read.
 *
 * @module
 */
import type { TestEvent } from 'node:test/reporters'

export interface TestTally {
  readonly tests: number
  readonly failed: number
  /** Tests marked `skip` or `todo`, with the reason where one was given. */
  readonly notRun: readonly string[]
}

export default async function* tally(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  let tests = 0
  let failed = 0
  const notRun: string[] = []
  for await (const event of source) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue
    const { details, skip, todo } = event.data
    if (details.type !== 'suite') tests++
    if (event.type === 'test:fail' && todo === undefined) failed++
    const mark = skip ?? todo
    if (mark === undefined || mark === false) continue
    notRun.push(`${event.data.name}${typeof mark === 'string' && mark !== '' ? ` (${mark})` : ''}`)
  }
  yield `${JSON.stringify({ tests, failed, notRun } satisfies TestTally)}\n`
}
