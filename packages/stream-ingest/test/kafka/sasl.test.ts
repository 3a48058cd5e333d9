import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { describe, test } from 'node:test'
import { type SaslConfig, Secret } from '../../src/config/ingest-config.ts'
import { createConnectionOptions } from '../../src/kafka/connection.ts'
import { createSaslOptions } from '../../src/kafka/sasl.ts'
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

const tokenOf = (config: SaslConfig): Promise<string> => {
  const { token } = createSaslOptions(config, fetch)
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

  test('asks for the package that signs MSK tokens where it is missing', async () => {
    await assert.rejects(tokenOf({ mechanism: 'aws_msk_iam', region: 'eu-central-1' }), {
      code: 'CONFIG_UNSUPPORTED',
      hint: 'install it beside stream-ingest: `npm install aws-msk-iam-sasl-signer-js`',
    })
  })
})
