import assert from 'node:assert/strict'
import { test } from 'node:test'
import { field, struct } from '@stream-ingest/delta'
import { BatchBuilder } from '@stream-ingest/delta/column'
import { planPayload } from '../../src/decode/json-plan.ts'
import { Kernel } from '../../src/decode/kernel.ts'
import { MEMBER_BYTES, MEMBER_SEEN_IN, OBJECT_BYTES, OBJECT_NUMBER } from '../../src/decode/kernel-layout.ts'
import { planKernel } from '../../src/decode/kernel-plan.ts'
import { scalar } from './decode-harness.ts'

test('objects are counted anew in each scan: no number comes back to a field that was seen long ago', () => {
  const fields = [scalar('a', 'long'), scalar('rare', 'long')]
  const batch = new BatchBuilder(struct(fields.map(f => field(f.name, f.type, f.nullable))))
  const kernel = new Kernel()
  const plan = planKernel(kernel, planPayload(fields, batch.columns))
  assert.ok(plan !== null)
  // As if `rare` had been in the first of 2^32 objects, and in none since.
  const memory = new DataView(plan.window.buffer)
  const rare = plan.object + OBJECT_BYTES + MEMBER_BYTES
  memory.setInt32(plan.object + OBJECT_NUMBER, 7, true)
  memory.setInt32(rare + MEMBER_SEEN_IN, 8, true)
  const payload = Buffer.from('{"a":1}')
  plan.window.set(payload)
  plan.starts[0] = 0
  plan.ends[0] = payload.length
  const { object, startsAt, endsAt, origin, rowsAt, hardFloatsAt, hardFloatsMax } = plan
  assert.equal(kernel.scan(object, 1, startsAt, endsAt, origin, rowsAt, 128, hardFloatsAt, hardFloatsMax), 1)
  for (const column of plan.columns) column.appendRows(0, 1)
  assert.deepEqual(
    batch.columns.map(column => [column.length, column.isNullAt(0)]),
    [
      [1, false],
      [1, true],
    ],
  )
})
