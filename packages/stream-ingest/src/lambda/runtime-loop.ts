/**
 * The Lambda Runtime API, for images without AWS's own runtime: one invocation after the other, until the process is ended.
 *
 * Lambda Developer Guide › Using the Lambda runtime API: `GET /2018-06-01/runtime/invocation/next`, then `POST` of the answer
 * or of the error; `POST /2018-06-01/runtime/init/error` where there is no handler.
 *
 * @module
 */
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { InvocationError } from './invocation-error.ts'
import type { LambdaHandler } from './lambda-context.ts'

const VERSION = '2018-06-01'
/** Lambda's own limit of an event is 6 MB; more is no event. */
const EVENT_MAX_BYTES = 64 << 20

export interface RuntimeLoopOptions {
  /** `host:port`: AWS_LAMBDA_RUNTIME_API. */
  readonly api: string
  readonly env: Record<string, string | undefined>
  readonly now: () => number
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/**
 * Makes the handler and serves invocations. Does not return: Lambda ends the process.
 *
 * @throws InvocationError after it was reported, where the handler cannot be made; Error where the Runtime API is gone
 */
export async function runRuntimeLoop(
  makeHandler: () => Promise<LambdaHandler>,
  options: RuntimeLoopOptions,
): Promise<never> {
  const api = new RuntimeApi(options.api)
  let handler: LambdaHandler
  try {
    handler = await makeHandler()
  } catch (thrown) {
    const error = InvocationError.from(thrown)
    await api.post('init/error', ...errorBody(error))
    throw error
  }
  // Invocations come one at a time.
  for (;;) await serve(handler, api, options)
}

async function serve(handler: LambdaHandler, api: RuntimeApi, options: RuntimeLoopOptions): Promise<void> {
  // No time limit: the process is frozen until there is work.
  const next = await api.send('GET', 'invocation/next')
  if (next.status !== 200) throw new Error(`the Runtime API answered ${next.status} to \`next\``)
  const requestId = headerOf(next.headers, 'lambda-runtime-aws-request-id')
  const deadlineMs = Number(headerOf(next.headers, 'lambda-runtime-deadline-ms'))
  const traceId = next.headers['lambda-runtime-trace-id']
  if (typeof traceId === 'string') options.env._X_AMZN_TRACE_ID = traceId
  const { AWS_LAMBDA_FUNCTION_NAME: functionName, AWS_LAMBDA_FUNCTION_VERSION: functionVersion } = options.env
  try {
    const event: unknown = JSON.parse(next.body.toString('utf8'))
    const answer = await handler(event, {
      awsRequestId: requestId,
      ...(functionName === undefined ? {} : { functionName }),
      ...(functionVersion === undefined ? {} : { functionVersion }),
      getRemainingTimeInMillis: () => deadlineMs - options.now(),
    })
    const posted = await api.post(`invocation/${requestId}/response`, JSON.stringify(answer ?? null))
    if (posted.status >= 400) throw new Error(`the Runtime API answered ${posted.status} to the response`)
  } catch (thrown) {
    await api.post(`invocation/${requestId}/error`, ...errorBody(InvocationError.from(thrown)))
  }
}

/** Body and headers of an error report. */
function errorBody(error: InvocationError): [string, Record<string, string>] {
  const body = {
    errorType: error.name,
    errorMessage: error.message,
    stackTrace: (error.stack ?? '').split('\n').slice(1, 20),
  }
  return [JSON.stringify(body), { 'lambda-runtime-function-error-type': error.name }]
}

function headerOf(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name]
  if (typeof value !== 'string') throw new Error(`the Runtime API sent no header \`${name}\``)
  return value
}

class RuntimeApi {
  readonly #base: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })

  constructor(api: string) {
    this.#base = `http://${api}/${VERSION}/runtime/`
  }

  post(path: string, body: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send('POST', path, body, headers)
  }

  send(method: string, path: string, body?: string, headers: Record<string, string> = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const bytes = body === undefined ? undefined : Buffer.from(body)
      const outgoing = request(
        this.#base + path,
        {
          method,
          agent: this.#agent,
          headers: {
            ...headers,
            ...(bytes === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': bytes.length }),
          },
        },
        incoming => {
          const parts: Buffer[] = []
          let sizeBytes = 0
          incoming.on('data', (part: Buffer) => {
            sizeBytes += part.length
            if (sizeBytes > EVENT_MAX_BYTES) {
              incoming.destroy(new Error(`the Runtime API sent more than ${EVENT_MAX_BYTES} bytes`))
            } else parts.push(part)
          })
          incoming.on('error', reject)
          incoming.on('end', () =>
            resolve({
              status: incoming.statusCode ?? 0,
              headers: incoming.headers,
              body: Buffer.concat(parts),
            }),
          )
        },
      )
      outgoing.on('error', reject)
      outgoing.end(bytes)
    })
  }
}
