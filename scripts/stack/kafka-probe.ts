/**
 * Asks a broker the one question that tells whether it can be used: where is the coordinator of this group, or of this
 * transactional id. It can answer once the broker is registered and the internal topic behind the answer is made,
 * which happens on the first such question and takes a second that no test should have to wait for.
 *
 * FindCoordinator Request (Version: 1) => key STRING, key_type INT8; Response => throttle_time_ms INT32, error_code INT16, …
 *
 * @module
 */
import { connect } from 'node:net'

const FIND_COORDINATOR = 10
const VERSION = 1
const ANSWER_TIMEOUT_MS = 5000
/** size INT32, correlation_id INT32, throttle_time_ms INT32, error_code INT16. */
const ERROR_CODE_AT = 12

export type CoordinatorKind = 'group' | 'transaction'

/** Whether the coordinator of this kind is there. No answer is a no. */
export function hasCoordinator(port: number, kind: CoordinatorKind): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port })
    let answer = Buffer.alloc(0)
    const finish = (found: boolean): void => {
      socket.destroy()
      resolve(found)
    }
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => finish(false))
    socket.once('connect', () => socket.write(findCoordinatorRequest('stack-warm-up', kind)))
    socket.on('data', chunk => {
      answer = Buffer.concat([answer, chunk])
      if (answer.length >= ERROR_CODE_AT + 2) finish(answer.readInt16BE(ERROR_CODE_AT) === 0)
    })
    socket.once('error', () => finish(false))
    socket.once('close', () => finish(false))
  })
}

function findCoordinatorRequest(key: string, kind: CoordinatorKind): Buffer {
  const body = Buffer.concat([
    int16(FIND_COORDINATOR),
    int16(VERSION),
    int32(1), // correlation_id
    int16(-1), // client_id: null
    int16(Buffer.byteLength(key)),
    Buffer.from(key),
    Buffer.of(kind === 'group' ? 0 : 1),
  ])
  return Buffer.concat([int32(body.length), body])
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
