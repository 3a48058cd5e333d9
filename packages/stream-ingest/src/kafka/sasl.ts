/**
 * SASL: the configuration as the transport library wants it.
 *
 * @module
 */
import type { ConnectionOptions } from '@platformatic/kafka'
import type { SaslConfig } from '../config/ingest-config.ts'
import { ConfigError, KafkaError, StreamIngestError } from '../error.ts'

export type SaslOptions = NonNullable<ConnectionOptions['sasl']>

/** Package of AWS that signs MSK's tokens; installed by those who need it. */
const MSK_SIGNER_PACKAGE = 'aws-msk-iam-sasl-signer-js'

const TOKEN_REQUEST_TIMEOUT_MS = 10_000
const TOO_MANY_REQUESTS = 429

/** Fetches a URL; the global `fetch` fits. An argument, so that tests stay on the machine. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** The part of AWS's package that is used. */
export interface MskSigner {
  generateAuthToken(options: { region: string }): Promise<{ token: string }>
}

/**
 * @param loadSigner loads the package that signs MSK's tokens
 * @throws ConfigError `CONFIG_INVALID` where the mechanism lacks a setting
 */
export function createSaslOptions(
  config: SaslConfig,
  fetchUrl: Fetch,
  loadSigner: () => Promise<MskSigner> = importSigner,
): SaslOptions {
  switch (config.mechanism) {
    case 'plain':
      return { mechanism: 'PLAIN', ...passwordOf(config) }
    case 'scram-sha-256':
      return { mechanism: 'SCRAM-SHA-256', ...passwordOf(config) }
    case 'scram-sha-512':
      return { mechanism: 'SCRAM-SHA-512', ...passwordOf(config) }
    case 'oauthbearer': {
      const endpoint = required(config, 'tokenEndpoint', 'token_endpoint')
      return { mechanism: 'OAUTHBEARER', token: () => requestToken(config, endpoint, fetchUrl) }
    }
    case 'aws_msk_iam': {
      const region = required(config, 'region', 'region')
      return { mechanism: 'OAUTHBEARER', token: () => signMskToken(region, loadSigner) }
    }
  }
}

function passwordOf(config: SaslConfig): { username: string; password: string } {
  const username = required(config, 'username', 'username')
  if (config.password === undefined) throw missing(config, 'password')
  return { username, password: config.password.reveal() }
}

function required(config: SaslConfig, name: 'username' | 'region' | 'tokenEndpoint', key: string): string {
  const value = config[name]
  if (value === undefined) throw missing(config, key)
  return value
}

function missing(config: SaslConfig, key: string): ConfigError {
  return new ConfigError(
    'CONFIG_INVALID',
    `\`kafka.sasl.${key}\` is missing for mechanism \`${config.mechanism}\``,
    {
      hint: `set \`kafka.sasl.${key}\``,
    },
  )
}

/** OAuth 2.0 client credentials (RFC 6749, section 4.4). Called at each authentication: tokens are not kept. */
async function requestToken(config: SaslConfig, endpoint: string, fetchUrl: Fetch): Promise<string> {
  const form = new URLSearchParams({ grant_type: 'client_credentials' })
  if (config.scope !== undefined) form.set('scope', config.scope)
  const headers: Record<string, string> = { 'content-type': 'application/x-www-form-urlencoded' }
  if (config.clientId !== undefined) {
    const credentials = `${encodeURIComponent(config.clientId)}:${encodeURIComponent(config.clientSecret?.reveal() ?? '')}`
    headers.authorization = `Basic ${Buffer.from(credentials).toString('base64')}`
  }
  const response = await fetchUrl(endpoint, {
    method: 'POST',
    headers,
    body: form.toString(),
    signal: AbortSignal.timeout(TOKEN_REQUEST_TIMEOUT_MS),
  }).catch((error: unknown) => {
    // An endpoint that is away for a moment says nothing about the credentials.
    throw tokenError(endpoint, reasonOf(error), { retryable: true, cause: error })
  })
  // The body may echo the credentials: it stays out of the message.
  if (!response.ok) {
    const retryable = response.status >= 500 || response.status === TOO_MANY_REQUESTS
    throw tokenError(endpoint, `it answered ${response.status}`, { retryable })
  }
  const body: unknown = await response.json().catch(() => null)
  const token = (body as { access_token?: unknown } | null)?.access_token
  if (typeof token !== 'string') throw tokenError(endpoint, 'its answer holds no `access_token`')
  return token
}

/** `fetch failed` says nothing; what is below it does. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error
  return cause instanceof Error && cause.message !== '' ? cause.message : message
}

function tokenError(
  endpoint: string,
  reason: string,
  options: { readonly retryable?: boolean; readonly cause?: unknown } = {},
): KafkaError {
  return new KafkaError('KAFKA_AUTHENTICATION', `no token from \`${endpoint}\`: ${reason}`, {
    hint: 'check `kafka.sasl.token_endpoint`, `client_id` and `client_secret`',
    ...options,
  })
}

async function signMskToken(region: string, loadSigner: () => Promise<MskSigner>): Promise<string> {
  const signer = await loadSigner().catch((error: unknown) => {
    throw new ConfigError(
      'CONFIG_UNSUPPORTED',
      `\`kafka.sasl.mechanism: aws_msk_iam\` needs the package \`${MSK_SIGNER_PACKAGE}\``,
      {
        hint: `install it beside stream-ingest: \`npm install ${MSK_SIGNER_PACKAGE}\``,
        cause: error,
      },
    )
  })
  try {
    const { token } = await signer.generateAuthToken({ region })
    return token
  } catch (error) {
    throw new KafkaError('KAFKA_AUTHENTICATION', `no token for MSK: ${(error as Error).message}`, {
      hint: 'give the process AWS credentials (its role, a profile, AWS_ACCESS_KEY_ID) that may `kafka-cluster:Connect`',
      retryable: StreamIngestError.from(error).isRetryable(),
      cause: error,
    })
  }
}

// By its name itself, so that a bundle takes it in.
const importSigner = (): Promise<MskSigner> => import('aws-msk-iam-sasl-signer-js')
