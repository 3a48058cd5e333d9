/**
 * An S3-compatible server on the loopback interface: S3Proxy, or versitygw where it was built.
 *
 * Both keep a bucket as a folder and an object as a file, and let exactly one of several racing writers of a new key
 * win, which most servers of this kind do not.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts } from './free-port.ts'
import { installOnce, mavenClassPath, requireJava, runToSuccess } from './installation.ts'
import { type ProcessIdentity, startProcess, stopProcess, waitUntilReady } from './managed-process.ts'

export type S3ServerKind = 's3proxy' | 'versitygw'

const VERSITYGW = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0'
const ACCESS_KEY = 'stream-ingest'
const BUCKET = 'lake'
const READY_TIMEOUT_MS = 60_000
const PROBE_TIMEOUT_MS = 2000
const LOGBACK = fileURLToPath(new URL('s3proxy/logback.xml', import.meta.url))

export interface S3Server {
  readonly name: string
  readonly endpoint: string
  readonly region: 'us-east-1'
  readonly accessKey: string
  readonly secretKey: string
  /** Made, and empty. */
  readonly bucket: string
  readonly process: ProcessIdentity
  readonly logPath: string
}

export interface StartS3Options {
  readonly folder: string
  readonly kind?: S3ServerKind
}

interface Launch {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

interface Site {
  readonly folder: string
  readonly dataFolder: string
  readonly port: number
  readonly secretKey: string
}

/** Downloads (S3Proxy) or builds (versitygw, minutes) the server unless that was done before; returns where it is. */
export async function installS3Server(kind: S3ServerKind): Promise<string> {
  if (kind === 's3proxy') {
    await requireJava()
    return mavenClassPath('s3proxy', new URL('s3proxy/pom.xml', import.meta.url))
  }
  const folder = await installOnce('versitygw', [VERSITYGW], async target => {
    await runToSuccess('go', ['install', VERSITYGW], { env: { ...process.env, GOBIN: target } })
  })
  return join(folder, 'versitygw')
}

/** Starts a server with one empty bucket, its data in `folder`, and returns when it answers. */
export async function startS3Server(options: StartS3Options): Promise<S3Server> {
  const kind = options.kind ?? 's3proxy'
  const program = await installS3Server(kind)
  const [port] = (await freePorts(1)) as [number]
  const site = {
    folder: options.folder,
    dataFolder: join(options.folder, 'data'),
    port,
    secretKey: randomBytes(24).toString('hex'),
  }
  await mkdir(join(site.dataFolder, BUCKET), { recursive: true })
  const launch = kind === 's3proxy' ? await s3proxyLaunch(program, site) : versitygwLaunch(program, site)
  const server = await startProcess({
    command: launch.command,
    args: launch.args,
    logPath: join(options.folder, `${kind}.log`),
    ...(launch.env ? { env: launch.env } : {}),
  })
  const endpoint = `http://127.0.0.1:${port}`
  try {
    await waitUntilReady(server, launch.name, READY_TIMEOUT_MS, () => answers(endpoint))
  } catch (error) {
    await stopProcess(server)
    throw error
  }
  return {
    name: launch.name,
    endpoint,
    region: 'us-east-1',
    accessKey: ACCESS_KEY,
    secretKey: site.secretKey,
    bucket: BUCKET,
    process: { pid: server.pid, startTime: server.startTime },
    logPath: server.logPath,
  }
}

async function s3proxyLaunch(classPath: string, site: Site): Promise<Launch> {
  const configPath = join(site.folder, 's3proxy.properties')
  const entries = {
    's3proxy.endpoint': `http://127.0.0.1:${site.port}`,
    's3proxy.authorization': 'aws-v4',
    's3proxy.identity': ACCESS_KEY,
    's3proxy.credential': site.secretKey,
    // Its in-memory provider resets connections when its heap is full; this one keeps files.
    'jclouds.provider': 'filesystem-nio2',
    'jclouds.filesystem.basedir': site.dataFolder,
  }
  const text = Object.entries(entries).map(([key, value]) => `${key}=${value}\n`)
  await writeFile(configPath, text.join(''), { mode: 0o600 })
  return {
    name: 'S3Proxy 4.1.0',
    command: 'java',
    args: [
      '-Xmx512m',
      '-XX:+UseSerialGC',
      `-Dlogback.configurationFile=${LOGBACK}`,
      '-cp',
      classPath,
      'org.gaul.s3proxy.Main',
      '--properties',
      configPath,
    ],
  }
}

function versitygwLaunch(program: string, site: Site): Launch {
  return {
    name: 'versitygw 1.8.0',
    command: program,
    args: ['--port', `127.0.0.1:${site.port}`, '--region', 'us-east-1', 'posix', site.dataFolder],
    // In the environment, not in the arguments, which every user of the machine can read.
    env: { ...process.env, ROOT_ACCESS_KEY: ACCESS_KEY, ROOT_SECRET_KEY: site.secretKey },
  }
}

/** Any HTTP answer will do: without a signature it is a refusal. */
async function answers(endpoint: string): Promise<boolean> {
  try {
    const response = await fetch(endpoint, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })
    await response.arrayBuffer()
    return response.status < 500
  } catch {
    return false
  }
}
