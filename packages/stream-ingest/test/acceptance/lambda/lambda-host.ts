/**
 * AWS Lambda as far as a function can tell: the Runtime API, and an environment that is started at the first invocation,
 * frozen between invocations, killed at the deadline and where it takes more memory than was bought.
 *
 * By default the bundle is the program and serves itself. LAMBDA_RUNTIME_CLIENT, the `index.mjs` of the npm package
 * `aws-lambda-ric`, has AWS's own client load it as a module instead, as the managed runtime does.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const BUILD = fileURLToPath(new URL('../../../../../scripts/build-lambda.ts', import.meta.url))
const RUNTIME_CLIENT = process.env.LAMBDA_RUNTIME_CLIENT
const INVOCATION = /^\/2018-06-01\/runtime\/invocation\/([^/]+)\/(response|error)$/
const MEMORY_LOOK_EVERY_MS = 10
const LINES_KEPT = 2000
/** What AWS gives a function to start, and what it answers when asked to die. */
const INIT_MAX_MS = 10_000
/** What AWS's managed runtime tells V8 of the memory; an image is to do it too, by NODE_OPTIONS. */
const OLD_SPACE_SHARE = 0.9
const SEMI_SPACE_SHARE = 0.05

/** Who serves the Runtime API here. */
export const CLIENT = RUNTIME_CLIENT === undefined ? 'our own loop' : "AWS's runtime client"

/** Builds the bundle into a folder of its own. */
export async function buildBundle(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'stream-ingest-lambda-'))
  await promisify(execFile)(process.execPath, [BUILD, '--out', folder, '--no-timing'])
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

export interface FunctionOptions {
  /** Folder of the bundle. */
  readonly bundle: string
  readonly environment: Readonly<Record<string, string>>
  readonly memoryMib?: number
  readonly timeoutMs?: number
}

export interface ErrorPayload {
  readonly errorType: string
  readonly errorMessage: string
  readonly stackTrace?: readonly string[]
}

export type Outcome =
  | { readonly kind: 'answer'; readonly payload: unknown }
  | { readonly kind: 'error'; readonly payload: ErrorPayload }
  | { readonly kind: 'init-error'; readonly payload: ErrorPayload }
  | { readonly kind: 'killed'; readonly by: 'deadline' | 'memory' | 'test' }
  | { readonly kind: 'exited'; readonly code: number | null }

/** One function with a concurrency of one. */
export class LambdaFunction {
  readonly #options: FunctionOptions
  readonly #server: Server
  #environment: Environment | null = null
  /** Environments started. */
  coldStarts = 0
  /** Resident memory, of all environments. */
  peakBytes = 0

  /** Ends with the test. */
  static async create(t: TestContext, options: FunctionOptions): Promise<LambdaFunction> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const created = new LambdaFunction(options, server)
    t.after(async () => {
      await created.kill()
      server.closeAllConnections()
      server.close()
    })
    return created
  }

  private constructor(options: FunctionOptions, server: Server) {
    this.#options = options
    this.#server = server
    server.on('request', (request, response) => void this.#environment?.serve(request, response))
  }

  /** Lines of stdout and stderr, of the environment that is there or was the last. */
  get lines(): readonly string[] {
    return this.#environment?.lines ?? []
  }

  /**
   * One invocation, to its end.
   *
   * @param timeoutMs the deadline of this one
   */
  async invoke(event: unknown, timeoutMs = this.#options.timeoutMs ?? 60_000): Promise<Outcome> {
    if (this.#environment === null || this.#environment.hasEnded) {
      this.coldStarts++
      const { port } = this.#server.address() as AddressInfo
      this.#environment = new Environment(this.#options, `127.0.0.1:${port}`)
    }
    const environment = this.#environment
    const outcome = await environment.invoke(event, timeoutMs)
    this.peakBytes = Math.max(this.peakBytes, environment.peakBytes)
    return outcome
  }

  /** A line of the log, one that came already or the next one; null where the environment ends without it. */
  async line(pattern: RegExp): Promise<string | null> {
    return this.#environment?.line(pattern) ?? null
  }

  freeze(): void {
    this.#environment?.signal('SIGSTOP')
  }

  thaw(): void {
    this.#environment?.signal('SIGCONT')
  }

  async kill(): Promise<void> {
    await this.#environment?.kill('test')
  }
}

class Environment {
  readonly lines: string[] = []
  peakBytes = 0
  hasEnded = false
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  readonly #memoryLook: NodeJS.Timeout
  readonly #waiting = new Set<() => void>()
  #killedBy: 'deadline' | 'memory' | 'test' | null = null
  #next: ServerResponse | null = null
  #invocation: { readonly id: string; readonly end: (outcome: Outcome) => void } | null = null
  #initError: ErrorPayload | null = null

  constructor({ bundle, environment, memoryMib = 512 }: FunctionOptions, api: string) {
    const flags = [
      `--max-old-space-size=${Math.floor(memoryMib * OLD_SPACE_SHARE)}`,
      `--max-semi-space-size=${Math.floor(memoryMib * SEMI_SPACE_SHARE)}`,
    ]
    this.#child = spawn(process.execPath, [...flags, RUNTIME_CLIENT ?? join(bundle, 'index.mjs')], {
      cwd: bundle,
      env: {
        PATH: process.env.PATH,
        AWS_REGION: 'us-east-1',
        AWS_LAMBDA_RUNTIME_API: api,
        AWS_LAMBDA_FUNCTION_NAME: 'ingest',
        AWS_LAMBDA_FUNCTION_VERSION: '1',
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMib),
        AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/ingest',
        AWS_LAMBDA_LOG_STREAM_NAME: 'stream',
        LAMBDA_TASK_ROOT: bundle,
        _HANDLER: 'index.handler',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      createInterface({ input: stream! }).on('line', line => {
        this.lines.push(line)
        if (this.lines.length > LINES_KEPT) this.lines.shift()
        this.#wake()
      })
    }
    this.#ended = once(this.#child, 'close').then(() => {
      this.hasEnded = true
      clearInterval(this.#memoryLook)
      this.#wake()
    })
    this.#memoryLook = setInterval(() => this.#lookAtMemory(memoryMib), MEMORY_LOOK_EVERY_MS)
  }

  async invoke(event: unknown, timeoutMs: number): Promise<Outcome> {
    const initOverdue = setTimeout(() => void this.kill('deadline'), INIT_MAX_MS)
    await this.#until(() => this.#next !== null || this.#initError !== null)
    clearTimeout(initOverdue)
    if (this.#initError !== null) {
      await this.#ended
      return { kind: 'init-error', payload: this.#initError }
    }
    if (this.#next === null) return this.#end()
    this.signal('SIGCONT')
    const answered = Promise.withResolvers<Outcome>()
    const id = randomUUID()
    this.#invocation = { id, end: answered.resolve }
    const next = this.#next
    this.#next = null
    next.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': id,
      'lambda-runtime-deadline-ms': String(Date.now() + timeoutMs),
      'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:us-east-1:123456789012:function:ingest',
      'lambda-runtime-trace-id': 'Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0',
    })
    next.end(JSON.stringify(event) ?? 'null')
    const overdue = setTimeout(() => void this.kill('deadline'), timeoutMs)
    const outcome = await Promise.race([answered.promise, this.#ended.then(() => this.#end())])
    clearTimeout(overdue)
    this.#invocation = null
    return outcome
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/2018-06-01/runtime/invocation/next') {
      this.#next = response
      // What the handler left undone rests until the next invocation.
      this.signal('SIGSTOP')
      this.#wake()
      return
    }
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const body: unknown = JSON.parse(Buffer.concat(parts).toString('utf8'))
    response.writeHead(202).end('{"status":"OK"}')
    if (request.url === '/2018-06-01/runtime/init/error') {
      this.#initError = body as ErrorPayload
      this.#wake()
      return
    }
    const [, id, kind] = INVOCATION.exec(request.url ?? '') ?? []
    assert(id !== undefined && id === this.#invocation?.id, `a report about ${request.url}`)
    this.#invocation.end(
      kind === 'response'
        ? { kind: 'answer', payload: body }
        : { kind: 'error', payload: body as ErrorPayload },
    )
  }

  async line(pattern: RegExp): Promise<string | null> {
    const find = (): string | undefined => this.lines.find(line => pattern.test(line))
    await this.#until(() => find() !== undefined)
    return find() ?? null
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    if (!this.hasEnded) this.#child.kill(name)
  }

  async kill(by: 'deadline' | 'memory' | 'test'): Promise<void> {
    if (!this.hasEnded) this.#killedBy ??= by
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  #end(): Outcome {
    if (this.#killedBy !== null) return { kind: 'killed', by: this.#killedBy }
    return { kind: 'exited', code: this.#child.exitCode }
  }

  /** Resolves when it is so, or the process has ended. */
  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo() && !this.hasEnded) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.add(resolve)
      await promise
      this.#waiting.delete(resolve)
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
  }

  #lookAtMemory(memoryMib: number): void {
    const residentBytes = residentBytesOf(this.#child.pid)
    this.peakBytes = Math.max(this.peakBytes, residentBytes)
    if (residentBytes > memoryMib * 2 ** 20) void this.kill('memory')
  }
}

/** 0 where the process is gone. */
function residentBytesOf(pid: number | undefined): number {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Number(kib ?? 0) * 1024
  } catch {
    return 0
  }
}
