/**
 * What a thread that decodes and encodes runs.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { parentPort } from 'node:worker_threads'
import { systemRuntime } from '@stream-ingest/delta'
import { DecodeLanes } from './decode-lanes.ts'

assert(parentPort !== null, 'started as a thread')
const port = parentPort
const lanes = new DecodeLanes(systemRuntime)
port.on('message', request => {
  const { answer, transfer } = lanes.answer(request)
  port.postMessage(answer, transfer)
})
