/** `doctor` against the real broker: listeners, TLS, SASL, rights, offsets and messages that are broken in one way each. */
import { randomUUID } from 'node:crypto'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import {
  AclOperations,
  AclPermissionTypes,
  Consumer,
  MessagesStreamModes,
  ResourcePatternTypes,
  ResourceTypes,
} from '@platformatic/kafka'
import { DeltaTable, openStore, systemRuntime } from '@stream-ingest/delta'
import { CertificateAuthority } from '../../../../../scripts/stack/certificate.ts'
import { type ConfigParts, SECRET, sound } from '../../cli/command-harness.ts'
import { deadAddress, serve } from '../../cli/local-server.ts'
import {
  type BrokenEnvironment,
  ingested,
  parts,
  type Scene,
  saslSection,
  testEnvironments,
} from './broken-environment.ts'
import { startTlsFront } from './tls-front.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const OTHER_AUTHORITY = new CertificateAuthority('somebody else')
/** Whatever Kafka is like, the lake is sound. */
const LAKE_IS_SOUND = [/^store conditional put$/, /^table columns$/]

const at = (bootstrap: string, changes: object = {}): ConfigParts => ({
  kafka: { bootstrap_servers: bootstrap, ...changes },
})
const overTls = (bootstrap: string, ssl: object = { ca: parts.authority }): ConfigParts =>
  at(bootstrap, { security_protocol: 'ssl', ssl })
const withSasl = (changes: object = {}, protocol = 'sasl_plaintext'): ConfigParts =>
  at(parts.sasl, { security_protocol: protocol, sasl: saslSection(changes) })
/** As the user for whom access control lists hold. */
const limited = (changes: object = {}): ConfigParts =>
  at(parts.sasl, {
    security_protocol: 'sasl_plaintext',
    sasl: saslSection({ username: parts.limitedUsername, password: parts.limitedPassword }),
    ...changes,
  })

type AclTarget = Pick<
  Parameters<Scene['admin']['createAcls']>[0]['creations'][number],
  'resourceType' | 'operation'
>

/** From the first rule on, who is not named in one is refused. */
async function allow(
  { admin }: Scene,
  resourceName: string,
  principal: string,
  targets: readonly AclTarget[],
): Promise<void> {
  await admin.createAcls({
    creations: targets.map(target => ({
      ...target,
      resourceName,
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: `User:${principal}`,
      host: '*',
      permissionType: AclPermissionTypes.ALLOW,
    })),
  })
}

const TOPIC_READ = { resourceType: ResourceTypes.TOPIC, operation: AclOperations.READ }
const TOPIC_DESCRIBE = { resourceType: ResourceTypes.TOPIC, operation: AclOperations.DESCRIBE }
const GROUP_READ = { resourceType: ResourceTypes.GROUP, operation: AclOperations.READ }
const GROUP_DESCRIBE = { resourceType: ResourceTypes.GROUP, operation: AclOperations.DESCRIBE }

/** Writes another next offset into the table, as nothing but a restore of the topic can come to. */
async function moveOffset({ workplace }: Scene, nextOffset: bigint): Promise<void> {
  const table = await DeltaTable.open(openStore(workplace.tablePath), { runtime: systemRuntime })
  const [txn] = table?.state.txns.values() ?? []
  if (table === null || txn === undefined) throw new Error('the table holds an offset')
  await table.append({ adds: [], rowCounts: [], txns: [{ ...txn, version: nextOffset }] })
}

const UNREACHABLE = { code: 'KAFKA_UNREACHABLE', retryable: true, exitCode: 69 } as const
const ENVIRONMENTS: readonly BrokenEnvironment[] = [
  {
    name: 'a bootstrap server on which nobody listens',
    breakIt: async () => at(await deadAddress()),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_UNREACHABLE',
    message: /^no answer from `127\.0\.0\.1:\d+`: connect ECONNREFUSED/,
    help: /check `kafka\.bootstrap_servers`, the network and the listener/,
    exitCode: 69,
    stillPasses: LAKE_IS_SOUND,
    run: UNREACHABLE,
  },
  {
    name: 'a bootstrap server whose name has no address',
    breakIt: () => at('kafka.invalid:9092'),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_UNREACHABLE',
    message: /`kafka\.invalid:9092`: getaddrinfo (ENOTFOUND|EAI_AGAIN)/,
    help: /`kafka\.bootstrap_servers`, or check the name server|check it, and the name in/,
    exitCode: 69,
    stillPasses: LAKE_IS_SOUND,
    run: UNREACHABLE,
  },
  {
    name: 'a server that accepts and says nothing',
    breakIt: async scene => at(await serve(scene.t, createServer()), { request_timeout_ms: 2000 }),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_UNREACHABLE',
    message: /does not answer as a Kafka broker: no answer within 2000 ms/,
    help: /the port is one of Kafka/,
    exitCode: 69,
    stillPasses: LAKE_IS_SOUND,
    run: UNREACHABLE,
  },
  {
    name: 'a web server in place of a broker',
    breakIt: async scene =>
      at(
        await serve(
          scene.t,
          createHttpServer((_, response) => response.end()),
        ),
      ),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_UNREACHABLE',
    message: /does not answer as a Kafka broker/,
    help: /the port is one of Kafka, and that `kafka\.security_protocol`/,
    exitCode: 69,
    stillPasses: LAKE_IS_SOUND,
  },
  {
    name: 'one of two bootstrap servers that is away',
    breakIt: async () => at(`${await deadAddress()},${parts.kafka}`),
    status: 'warn',
    group: 'kafka',
    code: 'KAFKA_UNREACHABLE',
    message: /ECONNREFUSED/,
    help: /check `kafka\.bootstrap_servers`/,
    exitCode: 0,
    stillPasses: [/^kafka connect to /, /^kafka messages$/],
  },
  {
    name: 'TLS spoken to a listener without',
    breakIt: () => overTls(parts.kafka),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_SECURITY_PROTOCOL',
    message: /speaks `plaintext`, and `kafka\.security_protocol` is `ssl`/,
    help: /set `kafka\.security_protocol: plaintext`/,
    exitCode: 78,
    stillPasses: LAKE_IS_SOUND,
  },
  {
    name: 'no TLS spoken to a listener with',
    breakIt: () => at(parts.ssl),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_SECURITY_PROTOCOL',
    message: /speaks `ssl`, and `kafka\.security_protocol` is `plaintext`/,
    help: /set `kafka\.security_protocol: ssl`/,
    exitCode: 78,
    stillPasses: LAKE_IS_SOUND,
  },
  {
    name: 'TLS alone spoken to a listener with SASL and TLS',
    breakIt: () => overTls(parts.saslSsl),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_SECURITY_PROTOCOL',
    message: /speaks `sasl_ssl`, and `kafka\.security_protocol` is `ssl`/,
    help: /set `kafka\.security_protocol: sasl_ssl` with `kafka\.sasl`/,
    exitCode: 78,
  },
  {
    name: 'a certificate of an authority that nobody here knows',
    breakIt: () => overTls(parts.ssl, {}),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_TLS',
    message: /self-signed certificate in certificate chain \(SELF_SIGNED_CERT_IN_CHAIN\)/,
    help: /certificate of the authority .* into `kafka\.ssl\.ca`/,
    exitCode: 69,
    run: { code: 'KAFKA_TLS', retryable: false, exitCode: 69 },
  },
  {
    name: 'the certificate of another authority in `kafka.ssl.ca`',
    breakIt: () => overTls(parts.ssl, { ca: OTHER_AUTHORITY.certificate }),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_TLS',
    message: /certificate/,
    help: /into `kafka\.ssl\.ca`/,
    exitCode: 69,
  },
  {
    name: 'a certificate that is for another name',
    breakIt: () => overTls(parts.ssl.replace('127.0.0.1', 'localhost')),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_TLS',
    message: /Hostname\/IP does not match certificate's altnames: .*localhost/,
    help: /use a name in `kafka\.bootstrap_servers` that the certificate is for/,
    exitCode: 69,
    run: { code: 'KAFKA_TLS', retryable: false, exitCode: 69 },
  },
  {
    name: 'a certificate that has expired',
    breakIt: async ({ t }) => {
      const { key, certificate } = OTHER_AUTHORITY.issue({
        commonName: 'broker',
        hosts: ['127.0.0.1'],
        notBefore: new Date(Date.now() - 30 * DAY_MS),
        notAfter: new Date(Date.now() - DAY_MS),
      })
      return overTls(await startTlsFront(t, parts.kafka, { key, cert: certificate }), {
        ca: OTHER_AUTHORITY.certificate,
      })
    },
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_TLS',
    message: /certificate has expired \(CERT_HAS_EXPIRED\)/,
    help: /renew the broker’s certificate/,
    exitCode: 69,
    run: { code: 'KAFKA_TLS', retryable: false, exitCode: 69 },
  },
  {
    name: 'a listener that wants a certificate of the client',
    breakIt: async ({ t }) => {
      const { key, certificate } = OTHER_AUTHORITY.issue({ commonName: 'broker', hosts: ['127.0.0.1'] })
      const ca = OTHER_AUTHORITY.certificate
      const front = { key, cert: certificate, ca, requestCert: true, rejectUnauthorized: true }
      return overTls(await startTlsFront(t, parts.kafka, front), { ca })
    },
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_TLS',
    message: /certificate required/,
    help: /set `kafka\.ssl\.cert` and `kafka\.ssl\.key`/,
    exitCode: 69,
    run: { code: 'KAFKA_TLS', retryable: false, exitCode: 69 },
  },
  {
    name: 'no SASL spoken to a listener with',
    breakIt: () => at(parts.sasl),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_SECURITY_PROTOCOL',
    message: /speaks `sasl_plaintext`, and `kafka\.security_protocol` is `plaintext`/,
    help: /set `kafka\.security_protocol: sasl_plaintext` with `kafka\.sasl`/,
    exitCode: 78,
  },
  {
    name: 'SASL spoken to a listener without',
    breakIt: () => at(parts.kafka, { security_protocol: 'sasl_plaintext', sasl: saslSection() }),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_SECURITY_PROTOCOL',
    message: /speaks `plaintext`, and `kafka\.security_protocol` is `sasl_plaintext`/,
    help: /set `kafka\.security_protocol: plaintext`/,
    exitCode: 78,
  },
  {
    name: 'SASL without TLS spoken to a listener with both',
    breakIt: () => at(parts.saslSsl, { security_protocol: 'sasl_plaintext', sasl: saslSection() }),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_SECURITY_PROTOCOL',
    message: /speaks `sasl_ssl`/,
    help: /set `kafka\.security_protocol: sasl_ssl`/,
    exitCode: 78,
  },
  {
    name: 'a password that is wrong',
    breakIt: () => withSasl({ password: SECRET }),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_AUTHENTICATION',
    message: /refused the credentials \(PLAIN\): .*Invalid username or password/,
    help: /check the name and the secret in `kafka\.sasl`/,
    exitCode: 77,
    stillPasses: LAKE_IS_SOUND,
    run: { code: 'KAFKA_AUTHENTICATION', retryable: false, exitCode: 77 },
  },
  {
    name: 'a user whom SCRAM does not know',
    breakIt: () => withSasl({ mechanism: 'scram-sha-512', username: 'nobody', password: SECRET }),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_AUTHENTICATION',
    message: /refused the credentials \(SCRAM-SHA-512\)/,
    help: /that this user exists for the mechanism/,
    exitCode: 77,
  },
  {
    name: 'a mechanism that the listener does not offer',
    breakIt: async scene => {
      const server = createHttpServer((_request, response) =>
        response.end('{"access_token":"token","expires_in":60}'),
      )
      const tokens = `http://${await serve(scene.t, server)}/`
      const sasl = {
        mechanism: 'oauthbearer',
        token_endpoint: tokens,
        client_id: 'me',
        client_secret: SECRET,
      }
      return at(parts.sasl, { security_protocol: 'sasl_plaintext', sasl })
    },
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_AUTHENTICATION',
    message: /\(OAUTHBEARER\): The broker does not support the requested SASL mechanism/,
    help: /set `kafka\.sasl\.mechanism` to one that the listener offers: .*`scram-sha-512`/,
    exitCode: 77,
  },
  {
    name: 'a broker that advertises an address that leads nowhere',
    breakIt: () => at(parts.misadvertised),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_ADVERTISED_LISTENER',
    title: /^advertised listeners$/,
    message: /1 of 1 brokers cannot be reached, although .* can: broker 1 advertises `kafka\.invalid:9092`/,
    help: /set `advertised\.listeners` of the broker/,
    exitCode: 69,
    stillPasses: [/^kafka connect to /, /^kafka topic /],
    run: { ...UNREACHABLE },
  },
  {
    name: 'a topic that is misspelled',
    breakIt: ({ topic }) => ({ kafka: { topic: topic.replace('doctor-', 'docter-') } }),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_TOPIC_NOT_FOUND',
    message: /^topic `docter-.*` does not exist/,
    help: /^did you mean `doctor-/,
    exitCode: 66,
    stillPasses: [/^kafka advertised listeners$/, ...LAKE_IS_SOUND],
  },
  {
    name: 'no right to describe the topic',
    breakIt: async scene => {
      await allow(scene, scene.topic, 'somebody-else', [TOPIC_READ])
      return limited()
    },
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_AUTHORIZATION',
    title: /^topic /,
    message: /^the broker denied `Describe` on topic `doctor-/,
    help: /^grant `Describe` on topic `doctor-/,
    exitCode: 77,
    stillPasses: LAKE_IS_SOUND,
    run: { code: 'KAFKA_AUTHORIZATION', retryable: false, exitCode: 77 },
  },
  {
    name: 'no right to read the topic',
    breakIt: async scene => {
      await allow(scene, scene.topic, parts.limitedUsername, [TOPIC_DESCRIBE])
      return limited()
    },
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_AUTHORIZATION',
    title: /^read /,
    message: /^the broker denied `Read` on topic `doctor-/,
    help: /^grant `Read` on topic `doctor-[^`]*` to this principal/,
    exitCode: 77,
    stillPasses: [/^kafka topic /, ...LAKE_IS_SOUND],
    run: { code: 'KAFKA_AUTHORIZATION', retryable: false, exitCode: 77 },
  },
  {
    name: 'no right to commit for the group',
    breakIt: async scene => {
      const group = `group-${randomUUID()}`
      await allow(scene, group, parts.limitedUsername, [GROUP_DESCRIBE])
      return limited({ consumer_group: group })
    },
    status: 'warn',
    group: 'kafka',
    code: 'KAFKA_AUTHORIZATION',
    title: /^group /,
    message: /^the broker denied `Read` on group `group-/,
    help: /^grant `Read` on group .*: `kafka-acls\.sh --bootstrap-server \S+ --add --allow-principal User:bob --operation Read --group group-[0-9a-f-]+`$/,
    exitCode: 0,
    stillPasses: [/^kafka messages$/],
  },
  {
    name: 'no right to describe the group',
    breakIt: async scene => {
      const group = `group-${randomUUID()}`
      await allow(scene, group, 'somebody-else', [GROUP_READ])
      return limited({ consumer_group: group })
    },
    status: 'warn',
    group: 'kafka',
    code: 'KAFKA_AUTHORIZATION',
    title: /^group /,
    message: /^the broker denied `Describe` on group `group-/,
    help: /^grant `Describe` on group `group-/,
    exitCode: 0,
    stillPasses: [/^kafka messages$/],
  },
  {
    name: 'a group that consumers of another application are members of',
    breakIt: async ({ t, topic }) => {
      const groupId = `used-${randomUUID()}`
      const consumer = new Consumer({ clientId: 'another', groupId, bootstrapBrokers: [parts.kafka] })
      t.after(() => consumer.close(true))
      await consumer.consume({ topics: [topic], mode: MessagesStreamModes.EARLIEST })
      return { kafka: { consumer_group: groupId } }
    },
    status: 'warn',
    group: 'kafka',
    code: 'KAFKA_GROUP_IN_USE',
    message: /^1 consumer of another kind is a member of the group/,
    help: /give this pipeline its own `kafka\.consumer_group`/,
    exitCode: 0,
    stillPasses: [/^kafka messages$/],
  },
  {
    name: 'a partition that the topic does not have',
    breakIt: () => ({ kafka: { assignment: [0, 7] } }),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_TOPIC_NOT_FOUND',
    message: /lists partition 7 of topic `doctor-.*`, which has 1/,
    help: /correct `kafka\.assignment`/,
    exitCode: 66,
  },
  {
    name: 'offsets that retention has deleted',
    breakIt: async scene => {
      await ingested(scene)
      await scene.producer.append(scene.topic, 0, sound(3, 10))
      await scene.producer.deleteRecords(scene.topic, 0, 8n)
      return {}
    },
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_OFFSET_OUT_OF_RANGE',
    title: /^offsets$/,
    message: /^offset 3 of `doctor-.*-0` is wanted, 8 to 10 are there: 5 offsets are lost to retention/,
    help: /set `kafka\.on_offset_out_of_range` to accept the loss/,
    exitCode: 65,
    run: { code: 'KAFKA_OFFSET_OUT_OF_RANGE', retryable: false, exitCode: 65 },
  },
  {
    name: 'offsets that retention has deleted, where that is accepted',
    breakIt: async scene => {
      await ingested(scene)
      await scene.producer.append(scene.topic, 0, sound(3, 10))
      await scene.producer.deleteRecords(scene.topic, 0, 8n)
      return { kafka: { on_offset_out_of_range: 'earliest' } }
    },
    status: 'warn',
    group: 'kafka',
    code: 'KAFKA_OFFSET_OUT_OF_RANGE',
    message: /5 offsets are lost to retention/,
    help: /goes on and counts the loss/,
    exitCode: 0,
    stillPasses: [/^kafka messages$/],
  },
  {
    name: 'offsets above the end of the topic',
    breakIt: async scene => {
      await ingested(scene)
      await moveOffset(scene, 10n)
      return {}
    },
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_OFFSET_OUT_OF_RANGE',
    message: /^offset 10 of `doctor-.*-0` is wanted, 0 to 3 are there: the log ends 7 offsets earlier/,
    help: /or move the offsets with `stream-ingest offsets set`/,
    exitCode: 65,
  },
  {
    name: 'a topic that was deleted and created again',
    breakIt: async scene => {
      await ingested(scene)
      await scene.producer.deleteTopic(scene.topic)
      await scene.producer.createTopic(scene.topic, 1)
      await scene.producer.append(scene.topic, 0, sound(0, 2))
      return {}
    },
    status: 'warn',
    group: 'kafka',
    code: 'KAFKA_TOPIC_RECREATED',
    message: /offsets of 1 topics that are gone, and none of `doctor-/,
    help: /reads `doctor-.*` from `kafka\.auto_offset_reset` \(earliest\)/,
    exitCode: 0,
  },
  {
    name: 'no offset in the table, and none to begin at',
    breakIt: () => ({ kafka: { auto_offset_reset: 'none' } }),
    status: 'fail',
    group: 'kafka',
    code: 'KAFKA_NO_OFFSET',
    message: /the table holds no offset of doctor-.*\[0\]/,
    help: /set `kafka\.auto_offset_reset` for the first run/,
    exitCode: 78,
  },
  {
    name: 'unread messages that the topic will soon delete',
    breakIt: async scene => {
      const topic = `aged-${randomUUID()}`
      await scene.producer.createTopic(topic, 1, { 'retention.ms': String(10 * DAY_MS) })
      const timestampMs = Date.now() - 8 * DAY_MS
      await scene.producer.append(
        topic,
        0,
        sound(0, 3).map(record => ({ ...record, timestampMs })),
      )
      await ingested(scene, { kafka: { topic } })
      await scene.producer.append(
        topic,
        0,
        sound(3, 6).map(record => ({ ...record, timestampMs })),
      )
      return { kafka: { topic } }
    },
    status: 'warn',
    group: 'kafka',
    code: 'KAFKA_RETENTION_NEAR',
    message: /the next message of aged-.*\[0\] for the table, 3, is older than 5 d; the topic keeps 10 d/,
    help: /run the pipeline, or raise `retention\.ms`/,
    exitCode: 0,
  },
  {
    name: 'messages that do not fit the columns',
    breakIt: async ({ producer, topic }) => {
      await producer.append(topic, 0, [{ value: '{"id":"n/a"}' }, { value: 'no json' }, ...sound(3, 4)])
      return {}
    },
    status: 'fail',
    group: 'kafka',
    code: 'RECORD_INVALID',
    title: /^messages$/,
    message:
      /^2 of the newest 6 messages do not fit: doctor-.*\[0\]@3 \$\.id: expected int64, found the string "n\/a"; /,
    help: /correct `delta\.schema` or the producer, or set `processing\.on_bad_record/,
    exitCode: 65,
    run: { code: 'RECORD_INVALID', retryable: false, exitCode: 65 },
  },
  {
    name: 'messages that do not fit the columns, where they are skipped',
    breakIt: async ({ producer, topic }) => {
      await producer.append(topic, 0, [{ value: 'no json' }], { codec: 'zstd' })
      return { processing: { on_bad_record: 'skip' } }
    },
    status: 'warn',
    group: 'kafka',
    code: 'RECORD_NOT_JSON',
    message: /^1 of the newest 4 messages do not fit/,
    help: /`processing\.on_bad_record: skip` keeps them out of the table/,
    exitCode: 0,
  },
]

testEnvironments('doctor and a Kafka that is not as it should be', ENVIRONMENTS)
