import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import {
  type Fault,
  FaultProxy,
  type FaultProxyOptions,
  faultsFor,
  type ProxiedRequest,
} from './fault-proxy.ts'

const BODY = 'the bytes of an object'

interface Upstream {
  readonly endpoint: string
  /** `METHOD path body`, in the order in which they came. */
  readonly seen: string[]
}

/** Keeps what it is sent; a conditional put succeeds once for each path. */
async function startUpstream(t: TestContext): Promise<Upstream> {
  const seen: string[] = []
  const taken = new Set<string>()
  const server = createServer((message, response) => {
    let body = ''
    message.setEncoding('utf8').on('data', text => {
      body += text
    })
    message.on('end', () => {
      seen.push(`${message.method} ${message.url} ${body}`.trim())
      const isTaken = message.headers['if-none-match'] === '*' && taken.has(message.url ?? '')
      if (message.method === 'PUT') taken.add(message.url ?? '')
      response.writeHead(isTaken ? 412 : 200, { 'x-host': message.headers.host ?? '' })
      response.end(message.method === 'GET' ? BODY : '')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

async function startProxy(
  t: TestContext,
  fault: Fault | null,
  gate?: FaultProxyOptions['gate'],
): Promise<{ proxy: FaultProxy; upstream: Upstream; requests: ProxiedRequest[] }> {
  const upstream = await startUpstream(t)
  const requests: ProxiedRequest[] = []
  const proxy = await FaultProxy.start({
    upstream: upstream.endpoint,
    decide: proxied => {
      requests.push(proxied)
      return fault
    },
    ...(gate && { gate }),
  })
  t.after(() => proxy.close())
  return { proxy, upstream, requests }
}

type Answer = { readonly status: number; readonly body: string; readonly host: string } | 'reset'

function send(
  proxy: FaultProxy,
  method: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise(resolve => {
    const outgoing = request(`${proxy.endpoint}${path}`, { method, headers, agent: new Agent() })
    outgoing.once('error', () => resolve('reset'))
    outgoing.once('response', response => {
      let body = ''
      response.setEncoding('utf8').on('data', text => {
        body += text
      })
      response.once('error', () => resolve('reset'))
      const host = String(response.headers['x-host'] ?? '')
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body, host }))
    })
    outgoing.end(method === 'PUT' ? 'new bytes' : undefined)
  })
}

const CONDITIONAL = { 'if-none-match': '*' }

test('without a fault a request and its answer pass unchanged, the name of the host that is signed included', async t => {
  const { proxy, upstream, requests } = await startProxy(t, null)
  const answer = await send(proxy, 'GET', '/lake/a%20b?x=1', { 'user-agent': 'sdk/3 app/turn-1-a lang/js' })
  assert.deepEqual(answer, { status: 200, body: BODY, host: new URL(proxy.endpoint).host })
  assert.deepEqual(upstream.seen, ['GET /lake/a%20b?x=1'])
  assert.deepEqual(requests, [{ operation: 'get', path: 'lake/a b', sender: 'turn-1-a' }])
  assert.equal(proxy.faultCounts.size, 0)
})

const EXPECTED: readonly [
  kind: Fault['kind'],
  method: 'GET' | 'PUT',
  answer: number | 'reset',
  passedOn: number,
][] = [
  ['lost-answer', 'PUT', 'reset', 1],
  ['reset-before', 'PUT', 'reset', 0],
  ['error-500', 'PUT', 500, 0],
  ['error-503', 'PUT', 503, 0],
  ['error-after', 'PUT', 500, 1],
  ['conflict-409', 'PUT', 409, 0],
  ['duplicate', 'PUT', 412, 2],
  ['late', 'PUT', 'reset', 1],
  ['cut-answer', 'GET', 'reset', 1],
  ['delayed', 'GET', 200, 1],
  ['slow-answer', 'GET', 200, 1],
]

for (const [kind, method, expected, passedOn] of EXPECTED) {
  test(`${kind}: the sender gets ${expected}, the server ${passedOn} requests`, async t => {
    const { proxy, upstream } = await startProxy(t, { kind, waitMs: 5 })
    const answer = await send(proxy, method, '/lake/key', method === 'PUT' ? CONDITIONAL : {})
    assert.equal(answer === 'reset' ? answer : answer.status, expected)
    await proxy.settled()
    assert.equal(upstream.seen.length, passedOn)
    assert.deepEqual([...proxy.faultCounts], [[kind, 1]])
  })
}

test('a gate holds a request back until it lets go', async t => {
  const held = Promise.withResolvers<void>()
  const reached = Promise.withResolvers<void>()
  const { proxy, upstream } = await startProxy(t, null, () => {
    reached.resolve()
    return held.promise
  })
  const answer = send(proxy, 'PUT', '/lake/key')
  await reached.promise
  assert.deepEqual(upstream.seen, [])
  held.resolve()
  assert.notEqual(await answer, 'reset')
  assert.deepEqual(upstream.seen, ['PUT /lake/key new bytes'])
})

test('faults fit the operation', () => {
  assert.ok(faultsFor('put-if-absent').includes('conflict-409'))
  assert.ok(!faultsFor('put').includes('conflict-409'))
  assert.ok(!faultsFor('delete').includes('late'))
  assert.ok(faultsFor('get').includes('cut-answer'))
})
