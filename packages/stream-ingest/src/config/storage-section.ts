/**
 * The `s3` section, and `local` in its place.
 *
 * @module
 */
import { secret } from './collection-type.ts'
import type { ConfigReader } from './config-reader.ts'
import { boolean, enumeration, text } from './field-type.ts'
import type { S3Config } from './ingest-config.ts'
import type { Secret } from './secret.ts'
import {
  optional,
  required,
  type SectionReading,
  type SectionValues,
  section,
  sectionType,
  withDefault,
} from './section.ts'

type BucketConfig = Extract<S3Config, { kind: 's3' }>

const PATH_LENGTH_MAX = 1024

const credentialsSection = section('s3.credentials', 'In place of the AWS default credential chain.', {
  access_key_id: optional<string>(text(), { description: 'The key’s id.', example: `\${AWS_ACCESS_KEY_ID}` }),
  secret_access_key: optional<Secret>(secret(), {
    description: 'The key.',
    example: '{ from_env: AWS_SECRET_ACCESS_KEY }',
  }),
  session_token: optional<Secret>(secret(), {
    description: 'For temporary keys.',
    example: '{ from_env: AWS_SESSION_TOKEN }',
  }),
  role_arn: optional<string>(
    text({
      expected: 'the ARN of a role',
      pattern: /^arn:[a-z-]+:iam::[0-9]+:role\/\S+$/,
      help: 'such as `arn:aws:iam::123456789012:role/ingest`',
    }),
    { description: 'A role to assume.', example: 'arn:aws:iam::123456789012:role/ingest' },
  ),
})

function checkCredentials(
  reading: SectionReading<typeof credentialsSection.fields>,
  reader: ConfigReader,
): void {
  const pair = ['access_key_id', 'secret_access_key'] as const
  for (const [index, key] of pair.entries()) {
    const other = pair[1 - index] as (typeof pair)[number]
    if (!reading.has(key) || reading.has(other)) continue
    const message = `missing key \`${other}\` in s3.credentials: \`${key}\` needs it`
    reader.sink.error('CONFIG_MISSING_KEY', reading.spanOf(key), message, { help: `add \`${other}:\`` })
  }
  if (reading.has('session_token') && !reading.has('access_key_id')) {
    const message = 'missing key `access_key_id` in s3.credentials: `session_token` needs it'
    reader.sink.error('CONFIG_MISSING_KEY', reading.spanOf('session_token'), message, {
      help: 'add `access_key_id:`',
    })
  }
}

export const s3Section = section('s3', 'The bucket that holds the tables.', {
  bucket: required<string>(
    text({
      expected: 'the name of a bucket',
      pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/,
      help: 'write the name alone, without `s3://`; folders go under `prefix`',
    }),
    { description: 'The bucket.', example: 'my-data-lake' },
  ),
  region: required<string>(
    text({ expected: 'the name of a region', pattern: /^[A-Za-z0-9-]{1,64}$/, help: 'such as `us-east-1`' }),
    { description: 'The bucket’s region.', example: 'us-east-1' },
  ),
  prefix: withDefault<string>(
    text({
      expected: 'a path in the bucket',
      allowEmpty: true,
      lengthMax: PATH_LENGTH_MAX,
      pattern: /^(?!s3:)(?!.*(^|\/)\.{1,2}(\/|$))(?!.*\/\/)[^\p{Cc}]*$/u,
      help: 'folders with `/` between them, without `.` and `..`',
    }),
    '',
    { description: 'Tables are at `prefix/table_name`.', defaultText: '`""`', example: 'delta-tables' },
  ),
  endpoint: optional<string>(
    text({
      expected: 'a URL',
      pattern: /^https?:\/\/[^\s/]+\/?\S*$/,
      help: 'write the whole URL, `http://localhost:9000`',
    }),
    { description: 'Of an S3-compatible server.', defaultText: 'AWS', example: 'http://localhost:9000' },
  ),
  force_path_style: withDefault<boolean>(boolean(), false, {
    description: 'Name the bucket in the path, as most S3-compatible servers want it.',
  }),
  credentials: optional<SectionValues<typeof credentialsSection.fields>>(
    sectionType(credentialsSection, checkCredentials),
    { description: 'Keys, or a role to assume.', defaultText: 'the AWS default chain' },
  ),
  server_side_encryption: optional<NonNullable<BucketConfig['serverSideEncryption']>>(
    enumeration(['AES256', 'aws:kms']),
    { description: 'How S3 encrypts the objects.', defaultText: 'as the bucket says' },
  ),
  kms_key_id: optional<string>(text(), { description: 'The key for `aws:kms`.' }),
  storage_class: optional<string>(
    text({
      expected: 'the name of a storage class',
      pattern: /^[A-Z0-9_]{1,64}$/,
      help: 'such as `STANDARD_IA`',
    }),
    { description: 'Of data files.', defaultText: 'as the bucket says', example: 'STANDARD_IA' },
  ),
  create_bucket: withDefault<boolean>(boolean(), false, {
    description: 'Create the bucket where it is missing.',
  }),
})

export const localSection = section('local', 'A directory in place of `s3`.', {
  path: required<string>(text({ expected: 'the path of a directory', lengthMax: PATH_LENGTH_MAX }), {
    description: 'Tables are at `path/table_name`. A relative path starts at the working directory.',
    example: './lake',
  }),
})

export function checkS3(reading: SectionReading<typeof s3Section.fields>, reader: ConfigReader): void {
  const { server_side_encryption: encryption } = reading.values
  if (reading.has('kms_key_id') && encryption !== 'aws:kms') {
    const message = '`kms_key_id` needs `server_side_encryption: aws:kms`'
    reader.sink.error('CONFIG_CONFLICT', reading.spanOf('kms_key_id'), message, {
      help: 'set `server_side_encryption`, or remove the key',
    })
  }
}

export function resolveS3(values: SectionValues<typeof s3Section.fields>): S3Config {
  const { endpoint, credentials, server_side_encryption, kms_key_id, storage_class } = values
  return {
    kind: 's3',
    bucket: values.bucket,
    region: values.region,
    prefix: values.prefix.replace(/^\/+|\/+$/g, ''),
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: values.force_path_style,
    ...(credentials === undefined ? {} : { credentials: resolveCredentials(credentials) }),
    ...(server_side_encryption === undefined ? {} : { serverSideEncryption: server_side_encryption }),
    ...(kms_key_id === undefined ? {} : { kmsKeyId: kms_key_id }),
    ...(storage_class === undefined ? {} : { storageClass: storage_class }),
    createBucket: values.create_bucket,
  }
}

function resolveCredentials(
  values: SectionValues<typeof credentialsSection.fields>,
): NonNullable<BucketConfig['credentials']> {
  const { access_key_id, secret_access_key, session_token, role_arn } = values
  return {
    ...(access_key_id === undefined ? {} : { accessKeyId: access_key_id }),
    ...(secret_access_key === undefined ? {} : { secretAccessKey: secret_access_key }),
    ...(session_token === undefined ? {} : { sessionToken: session_token }),
    ...(role_arn === undefined ? {} : { roleArn: role_arn }),
  }
}

export function resolveLocal(values: SectionValues<typeof localSection.fields>): S3Config {
  return { kind: 'local', path: values.path }
}

/** For the reference and the JSON Schema. */
export const STORAGE_SUBSECTIONS = [credentialsSection] as const
