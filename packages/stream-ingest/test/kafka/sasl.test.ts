import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { describe, test } from 'node:test'
import { type SaslConfig, Secret } from '../../src/config/ingest-config.ts'
import type { KafkaError } from '../../src/error.ts'
import { createConnectionOptions } from '../../src/kafka/connection.ts'
import { createSaslOptions, type MskSigner } from '../../src/kafka/sasl.ts'
import { kafkaConfig } from './kafka-fixture.ts'

async function withTokenEndpoint(
  answer: RequestListener,
  run: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  try {
    await run(`http://127.0.0.1:${port}/token`)
  } finally {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
}

const tokenOf = (config: SaslConfig, loadSigner?: () => Promise<MskSigner>): Promise<string> => {
  const { token } = createSaslOptions(config, fetch, loadSigner)
  assert(typeof token === 'function')
  return Promise.resolve(token())
}

const oauth = (tokenEndpoint: string): SaslConfig => ({
  mechanism: 'oauthbearer',
  tokenEndpoint,
  clientId: 'me:1',
  clientSecret: new Secret('hush'),
  scope: 'kafka',
})

describe('createSaslOptions', () => {
  test('passes user and password on for PLAIN and SCRAM', () => {
    for (const [mechanism, expected] of [
      ['plain', 'PLAIN'],
      ['scram-sha-256', 'SCRAM-SHA-256'],
      ['scram-sha-512', 'SCRAM-SHA-512'],
    ] as const) {
      const options = createSaslOptions({ mechanism, username: 'alice', password: new Secret('x') }, fetch)
      assert.deepEqual(options, { mechanism: expected, username: 'alice', password: 'x' })
    }
  })

  test('names the setting that is missing', () => {
    assert.throws(() => createSaslOptions({ mechanism: 'plain', username: 'alice' }, fetch), {
      code: 'CONFIG_INVALID',
      message: '`kafka.sasl.password` is missing for mechanism `plain`',
    })
    assert.throws(() => createSaslOptions({ mechanism: 'oauthbearer' }, fetch), /token_endpoint/)
    assert.throws(() => createSaslOptions({ mechanism: 'aws_msk_iam' }, fetch), /kafka\.sasl\.region/)
    assert.throws(
      () => createConnectionOptions(kafkaConfig('x:1', 't', { securityProtocol: 'sasl_ssl' }), fetch),
      {
        code: 'CONFIG_INVALID',
      },
    )
  })

  test('asks the token endpoint with client credentials', async () => {
    let body = ''
    let authorization: string | undefined
    const answer: RequestListener = (request, response) => {
      authorization = request.headers.authorization
      request.on('data', chunk => {
        body += chunk
      })
      request.on('end', () => response.end(JSON.stringify({ access_token: 'the-token' })))
    }
    await withTokenEndpoint(answer, async url => assert.equal(await tokenOf(oauth(url)), 'the-token'))
    assert.equal(body, 'grant_type=client_credentials&scope=kafka')
    assert.equal(authorization, `Basic ${Buffer.from('me%3A1:hush').toString('base64')}`)
  })

  test('says that the endpoint refused, without the secret', async () => {
    const answer: RequestListener = (_request, response) => {
      response.statusCode = 401
      response.end('bad secret hush')
    }
    await withTokenEndpoint(answer, async url => {
      await assert.rejects(tokenOf(oauth(url)), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'KAFKA_AUTHENTICATION')
        assert.match(error.message, /it answered 401$/)
        assert.doesNotMatch(error.message, /hush/)
        return true
      })
    })
    await withTokenEndpoint(
      (_request, response) => response.end('{}'),
      async url => {
        await assert.rejects(tokenOf(oauth(url)), /its answer holds no `access_token`/)
      },
    )
  })

  for (const [status, retryable] of [
    [400, false],
    [429, true],
    [503, true],
  ] as const) {
    test(`an endpoint that answers ${status} is ${retryable ? '' : 'not '}asked again`, async () => {
      const answer: RequestListener = (_request, response) => {
        response.statusCode = status
        response.end()
      }
      await withTokenEndpoint(answer, async url => {
        await assert.rejects(tokenOf(oauth(url)), (error: KafkaError) => error.isRetryable() === retryable)
      })
    })
  }

  test('an endpoint that is away is asked again, and what the system said is in the message', async () => {
    let gone = ''
    await withTokenEndpoint(
      (_request, response) => response.end(),
      async url => {
        gone = url
      },
    )
    await assert.rejects(tokenOf(oauth(gone)), (error: KafkaError) => {
      assert.match(error.message, /ECONNREFUSED/)
      return error.isRetryable()
    })
  })

  const msk: SaslConfig = { mechanism: 'aws_msk_iam', region: 'eu-central-1' }

  test('asks for the package that signs MSK tokens where it is missing', async () => {
    await assert.rejects(
      tokenOf(msk, async () => {
        throw new Error('Cannot find package')
      }),
      {
        code: 'CONFIG_UNSUPPORTED',
        hint: 'install it beside stream-ingest: `npm install aws-msk-iam-sasl-signer-js`',
      },
    )
  })

  test('says that there are no AWS credentials to sign with', async () => {
    const signer: MskSigner = {
      generateAuthToken: async () => {
        throw new Error('Could not load credentials from any providers')
      },
    }
    await assert.rejects(
      tokenOf(msk, async () => signer),
      {
        code: 'KAFKA_AUTHENTICATION',
        message: 'no token for MSK: Could not load credentials from any providers',
      },
    )
  })

  test('signs a token for MSK with the credentials of the environment', async () => {
    const credentials = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'hush' }
    const before = Object.fromEntries(Object.keys(credentials).map(name => [name, process.env[name]]))
    Object.assign(process.env, credentials)
    try {
      const url = new URL(Buffer.from(await tokenOf(msk), 'base64url').toString('utf8'))
      assert.equal(url.host, 'kafka.eu-central-1.amazonaws.com')
      assert.equal(url.searchParams.get('Action'), 'kafka-cluster:Connect')
      assert.match(url.searchParams.get('X-Amz-Credential') ?? '', /^AKIDEXAMPLE\//)
    } finally {
      for (const [name, value] of Object.entries(before)) {
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
    }
  })
})
