import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { KafkaError } from '../../src/error.ts'
import type { LambdaContext, LambdaHandler } from '../../src/lambda/lambda-context.ts'
import { runRuntimeLoop } from '../../src/lambda/runtime-loop.ts'

interface Report {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

/** A Runtime API that hands out these events, and then ends connections: the loop has no other end. */
async function serve(
  t: TestContext,
  makeHandler: () => Promise<LambdaHandler>,
  invocations: readonly { readonly body: string; readonly headers?: Record<string, string> }[],
): Promise<{ reports: readonly Report[]; error: Error; env: Record<string, string | undefined> }> {
  const reports: Report[] = []
  const env: Record<string, string | undefined> = {
    AWS_LAMBDA_FUNCTION_NAME: 'ingest',
    AWS_LAMBDA_FUNCTION_VERSION: '7',
  }
  let handedOut = 0
  const server = createServer(async (request, response) => {
    const { url = '', headers } = request
    if (url.endsWith('/next')) return next(response)
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    reports.push({ url, headers, body: JSON.parse(Buffer.concat(parts).toString('utf8')) })
    response.writeHead(202).end()
  })
  const next = (response: ServerResponse): void => {
    const invocation = invocations[handedOut++]
    if (invocation === undefined) {
      response.destroy()
      return
    }
    response.writeHead(200, {
      'lambda-runtime-aws-request-id': `id-${handedOut}`,
      'lambda-runtime-deadline-ms': '61000',
      'lambda-runtime-trace-id': `trace-${handedOut}`,
      ...invocation.headers,
    })
    response.end(invocation.body)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const api = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const error = await runRuntimeLoop(makeHandler, { api, env, now: () => 1000 }).then(
    () => assert.fail('it does not return'),
    (thrown: Error) => thrown,
  )
  return { reports, error, env }
}

suite('the runtime loop', () => {
  test('hands events to the handler with a context, one after the other, and posts the answers', async t => {
    const contexts: LambdaContext[] = []
    const handler: LambdaHandler = async (event, context) => {
      contexts.push(context)
      return event === null ? undefined : { got: event }
    }
    const { reports, env } = await serve(t, async () => handler, [{ body: '{"a":"ä"}' }, { body: 'null' }])
    assert.deepEqual(
      reports.map(({ url, body }) => [url, body]),
      [
        ['/2018-06-01/runtime/invocation/id-1/response', { got: { a: 'ä' } }],
        ['/2018-06-01/runtime/invocation/id-2/response', null],
      ],
    )
    const [{ getRemainingTimeInMillis, ...context }] = contexts as [LambdaContext]
    assert.deepEqual(context, { awsRequestId: 'id-1', functionName: 'ingest', functionVersion: '7' })
    assert.equal(getRemainingTimeInMillis(), 60_000)
    assert.equal(env._X_AMZN_TRACE_ID, 'trace-2')
  })

  test('reports what the handler throws by name, code and hint, and goes on', async t => {
    let calls = 0
    const handler: LambdaHandler = async () => {
      if (calls++ === 0)
        throw new KafkaError('KAFKA_UNREACHABLE', 'no answer', { hint: 'look at the network' })
      return 'well'
    }
    const { reports } = await serve(t, async () => handler, [{ body: '{}' }, { body: '{}' }])
    const [failed, answered] = reports
    assert.equal(failed?.url, '/2018-06-01/runtime/invocation/id-1/error')
    assert.equal(failed.headers['lambda-runtime-function-error-type'], 'KafkaError')
    const { errorType, errorMessage } = failed.body as Record<string, unknown>
    assert.deepEqual(
      [errorType, errorMessage],
      ['KafkaError', 'KAFKA_UNREACHABLE: no answer (look at the network)'],
    )
    assert.equal(answered?.body, 'well')
  })

  test('reports an event that is no JSON, and goes on', async t => {
    const { reports } = await serve(t, async () => async () => 'well', [{ body: '{' }, { body: '{}' }])
    assert.deepEqual(
      reports.map(({ url }) => url.split('/').at(-1)),
      ['error', 'response'],
    )
  })

  test('reports a handler that cannot be made, and ends', async t => {
    const { reports, error } = await serve(t, async () => {
      throw new Error('broken')
    }, [])
    assert.match(error.message, /broken/)
    assert.deepEqual(
      reports.map(({ url }) => url),
      ['/2018-06-01/runtime/init/error'],
    )
  })

  test('ends where the Runtime API is gone or makes no sense', async t => {
    const { error } = await serve(t, async () => async () => null, [])
    assert.match(error.message, /socket hang up/)
    const strange = [{ body: '{}', headers: { 'lambda-runtime-aws-request-id': '' } }]
    const { reports } = await serve(t, async () => async () => null, strange)
    assert.deepEqual(reports.length, 1)
  })
})
