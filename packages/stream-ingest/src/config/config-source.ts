/**
 * From what names a configuration to its text, and from what names a secret in AWS to that.
 *
 * @module
 */
import { createReadStream } from 'node:fs'
import { ConfigError } from '../error.ts'
import type { AwsSecret } from './config-reader.ts'

/** Bytes that are read at most: the parser's bound on characters, each of at most four bytes, is met before. */
const CONFIG_BYTES_MAX = 4 * 1024 * 1024

/** Reads an object of a bucket; null where there is none. */
export type ReadObject = (bucket: string, key: string) => Promise<Uint8Array | null>

/** Does `INGEST_CONFIG` hold the text itself, not the name of a file? */
export function isConfigText(value: string): boolean {
  return /[\r\n]/.test(value) || /^\s*\{/.test(value) || /^\s*[A-Za-z0-9_]+:(\s|$)/.test(value)
}

/** The text at a path or an `s3://bucket/key`. Throws {@link ConfigError} `CONFIG_NOT_FOUND`. */
export async function loadConfigText(
  location: string,
  readObject: ReadObject = readS3Object,
): Promise<string> {
  const bytes = location.startsWith('s3://')
    ? await loadObject(location, readObject)
    : await loadFile(location)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new ConfigError('CONFIG_INVALID', `the configuration \`${location}\` is not UTF-8`, {
      hint: 'save the file as UTF-8',
      cause,
    })
  }
}

async function loadFile(path: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of createReadStream(path, { end: CONFIG_BYTES_MAX })) {
      chunks.push(chunk)
      size += chunk.length
    }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    throw new ConfigError(
      'CONFIG_NOT_FOUND',
      `no configuration at \`${path}\`: ${whyUnreadable(code, cause)}`,
      {
        ...(code === 'EISDIR' ? { hint: 'name a file in that folder' } : {}),
        context: { path },
        cause,
      },
    )
  }
  return checkSize(Buffer.concat(chunks), size, path)
}

function whyUnreadable(code: string | undefined, cause: unknown): string {
  switch (code) {
    case 'ENOENT':
      return 'the file does not exist'
    case 'EISDIR':
      return 'it is a folder'
    default:
      return `the file cannot be read (${code ?? String(cause)})`
  }
}

async function loadObject(uri: string, readObject: ReadObject): Promise<Uint8Array> {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/s.exec(uri) ?? []
  if (bucket === undefined || key === undefined) {
    throw new ConfigError('CONFIG_NOT_FOUND', `\`${uri}\` names no object`, {
      hint: 'write `s3://bucket/key`',
    })
  }
  const bytes = await readObject(bucket, key)
  if (bytes === null)
    throw new ConfigError('CONFIG_NOT_FOUND', `no configuration at \`${uri}\`: there is no such object`)
  return checkSize(bytes, bytes.length, uri)
}

function checkSize(bytes: Uint8Array, size: number, location: string): Uint8Array {
  if (size <= CONFIG_BYTES_MAX) return bytes
  throw new ConfigError(
    'CONFIG_TOO_LARGE',
    `the configuration \`${location}\` has more than ${CONFIG_BYTES_MAX} bytes`,
  )
}

async function readS3Object(bucket: string, key: string): Promise<Uint8Array | null> {
  const { S3ObjectStore } = await import('@stream-ingest/delta')
  return new S3ObjectStore({ bucket }).get(key)
}

/** The one command and its answer that are used of the package, which is the user's to install. */
interface SecretsManagerModule {
  readonly SecretsManagerClient: new (
    options: object,
  ) => {
    send(command: object): Promise<{ readonly SecretString?: string }>
    destroy(): void
  }
  readonly GetSecretValueCommand: new (input: { readonly SecretId: string }) => object
}

const SECRETS_MANAGER_PACKAGE = '@aws-sdk/client-secrets-manager'

/** The named secrets, each with its text or why it is not to be had. Throws nothing. */
export async function fetchAwsSecrets(ids: ReadonlySet<string>): Promise<ReadonlyMap<string, AwsSecret>> {
  const secrets = new Map<string, AwsSecret>()
  if (ids.size === 0) return secrets
  let sdk: SecretsManagerModule
  try {
    sdk = (await import(SECRETS_MANAGER_PACKAGE)) as SecretsManagerModule
  } catch {
    const problem = `reading it needs the package \`${SECRETS_MANAGER_PACKAGE}\`, which is not installed`
    const help = `run \`npm install ${SECRETS_MANAGER_PACKAGE}\`, or write \`{ from_env: NAME }\``
    for (const id of ids) secrets.set(id, { problem, code: 'CONFIG_UNSUPPORTED', help })
    return secrets
  }
  const client = new sdk.SecretsManagerClient({})
  try {
    for (const id of ids) secrets.set(id, await fetchSecret(id, client, sdk))
  } finally {
    client.destroy()
  }
  return secrets
}

async function fetchSecret(
  id: string,
  client: InstanceType<SecretsManagerModule['SecretsManagerClient']>,
  sdk: SecretsManagerModule,
): Promise<AwsSecret> {
  try {
    const { SecretString: text } = await client.send(new sdk.GetSecretValueCommand({ SecretId: id }))
    return text === undefined ? { problem: 'it is binary, not text' } : { text }
  } catch (error) {
    // The SDK's messages name the secret and the identity, never the value.
    return { problem: error instanceof Error ? `${error.name}: ${error.message}` : String(error) }
  }
}
