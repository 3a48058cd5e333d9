import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isMap, isSeq, parseDocument, type ScalarTag, visit } from 'yaml'
import { installOnce, runToSuccess } from '../stack/installation.ts'
import { installPython } from '../stack/reader-installation.ts'

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url))
const SAM_TEMPLATE = join(EXAMPLES, 'lambda-sam', 'template.yaml')
const CDK_APP = join(EXAMPLES, 'lambda-cdk')
const CFN_LINT = 'cfn-lint==1.58.0'
/** Its own start script names the folder that it was installed into first. */
const RUN_CFN_LINT = 'import sys; from cfnlint.runner import main; sys.exit(main())'
/** CDK writes dependencies that a reference implies already. */
const IGNORED_OF_CDK = 'W3005'
const CDK_CONTEXT = {
  clusterName: 'events',
  clusterUuid: '0a1b2c3d-5',
  bootstrapServers: 'b-1.example:9098',
  topic: 'user-events',
  bucket: 'my-lake',
  vpcId: 'vpc-0123456789abcdef0',
  availabilityZones: 'eu-west-1a,eu-west-1b',
  subnetIds: 'subnet-0123456789abcdef0,subnet-0123456789abcdef1',
  securityGroupId: 'sg-0123456789abcdef0',
}
const skip = process.env.SI_TEST_PYTHON === undefined ? 'the linter and CDK are to be downloaded' : false

type Properties = Readonly<Record<string, unknown>>
interface Resource {
  readonly Type: string
  readonly Properties: Properties
}

describe('the AWS templates', { skip }, () => {
  let python = ''
  before(async () => {
    if (skip === false) python = await installPython('cfn-lint', [CFN_LINT])
  })
  const lint = (template: string, ...flags: string[]): Promise<string> =>
    runToSuccess(python, ['-c', RUN_CFN_LINT, ...flags, '--', template])

  test('the one of SAM has no finding of the linter', async () => {
    await lint(SAM_TEMPLATE)
  })

  for (const mode of ['pull', 'trigger'] as const) {
    test(`the one of CDK is synthesised for the mode \`${mode}\`, typed, and has no finding of the linter`, async () => {
      const template = await synthesise(mode)
      await lint(template, '--ignore-checks', IGNORED_OF_CDK)
      const resources = Object.values(
        (JSON.parse(await readFile(template, 'utf8')) as { Resources: Record<string, Resource> }).Resources,
      )
      assertSafe(resources.map(({ Type, Properties }) => ({ Type, Properties })))
      const mappings = propertiesOf(resources, 'AWS::Lambda::EventSourceMapping')
      assert.equal(mappings.length, mode === 'trigger' ? 1 : 0)
      for (const mapping of mappings) assertNothingIsLost(mapping)
      for (const { MaximumRetryAttempts } of propertiesOf(resources, 'AWS::Lambda::EventInvokeConfig'))
        assert.equal(MaximumRetryAttempts, 0)
    })
  }

  test('the one of SAM retries no drain and loses no batch', async () => {
    const template = readSam(await readFile(SAM_TEMPLATE, 'utf8'))
    assertSafe(Object.values(template.Resources))
    const { Globals, Resources } = template
    const { MaximumRetryAttempts } = Globals.Function.EventInvokeConfig as Properties
    assert.equal(MaximumRetryAttempts, 0)
    const events = Resources.TriggeredFunction!.Properties.Events as { Kafka: { Properties: Properties } }
    assertNothingIsLost(events.Kafka.Properties)
  })
})

/** What a template must say so that the guarantee of the product is one of the deployment. */
function assertNothingIsLost(mapping: Properties): void {
  const { FunctionResponseTypes, MaximumRetryAttempts, BisectBatchOnFunctionError, DestinationConfig } =
    mapping
  // Without it Lambda takes a batch for stored that the function has stored in part.
  assert.deepEqual(FunctionResponseTypes, ['ReportBatchItemFailures'])
  assert.equal(BisectBatchOnFunctionError, true)
  assert(Number(MaximumRetryAttempts) > 0)
  const { OnFailure } = DestinationConfig as { OnFailure?: { Destination?: unknown } }
  assert(OnFailure?.Destination !== undefined, 'batches that were given up are kept')
  assert(mapping.ProvisionedPollerConfig !== undefined)
}

function assertSafe(resources: readonly Resource[]): void {
  const functions = resources.filter(({ Type }) => /::Function$/.test(Type) && !isProvider(Type))
  assert(functions.length >= 2)
  for (const { Properties } of functions) {
    const isTriggered = JSON.stringify(Properties).includes('"Kafka"') || Properties.Timeout === 300
    assert.equal(Properties.ReservedConcurrentExecutions, isTriggered ? undefined : 1)
    assert(Number(Properties.Timeout) <= (isTriggered ? 840 : 900))
  }
  for (const { actions, resource } of statementsOf(resources)) {
    for (const action of actions) {
      assert.doesNotMatch(action, /^\*|^(kafka-cluster|kafka):\*$|^s3:\*$/, 'a right that is too wide')
    }
    assert.notEqual(JSON.stringify(resource), '"*"', `${actions.join(', ')} on everything`)
  }
}

const isProvider = (type: string): boolean => type.startsWith('Custom::')

function statementsOf(
  resources: readonly Resource[],
): readonly { readonly actions: readonly string[]; readonly resource: unknown }[] {
  const documents = resources.flatMap(({ Properties }) => [
    Properties.PolicyDocument,
    ...(Array.isArray(Properties.Policies) ? Properties.Policies : []),
  ])
  return documents.flatMap(document => {
    const { Statement } = (document ?? {}) as {
      Statement?: { Action: string | string[]; Resource: unknown }[]
    }
    return (Statement ?? []).map(({ Action, Resource: resource }) => ({ actions: [Action].flat(), resource }))
  })
}

function propertiesOf(resources: readonly Resource[], type: string): Properties[] {
  return resources.filter(({ Type }) => Type === type).map(({ Properties }) => Properties)
}

/** Its short forms, such as `!Ref`, read as their arguments. */
function readSam(text: string): {
  readonly Globals: { readonly Function: Properties }
  readonly Resources: Readonly<Record<string, Resource>>
} {
  const document = parseDocument(text, { customTags: INTRINSICS })
  assert.deepEqual(document.errors, [])
  visit(document, {
    Node: (_, node) => {
      if (isMap(node) || isSeq(node)) delete node.tag
    },
  })
  return document.toJS()
}

const INTRINSICS: ScalarTag[] = ['!Ref', '!Sub', '!GetAtt'].map(tag => ({ tag, resolve: text => text }))

/** In a copy with its dependencies, so that nothing is installed into the checkout. Returns the template's path. */
async function synthesise(mode: 'pull' | 'trigger'): Promise<string> {
  const manifest = await readFile(join(CDK_APP, 'package.json'), 'utf8')
  const lock = await readFile(join(CDK_APP, 'package-lock.json'), 'utf8')
  const root = await installOnce('cdk', [manifest, lock], async target => {
    const app = join(target, 'examples', 'lambda-cdk')
    await mkdir(app, { recursive: true })
    await writeFile(join(app, 'package.json'), manifest)
    await writeFile(join(app, 'package-lock.json'), lock)
    await runToSuccess('npm', ['ci', '--prefix', app, '--no-audit', '--no-fund'])
  })
  const app = join(root, 'examples', 'lambda-cdk')
  for (const name of await readdir(CDK_APP)) {
    if (/\.(ts|json|yaml)$/.test(name)) await copyFile(join(CDK_APP, name), join(app, name))
  }
  const zip = join(root, 'build', 'lambda', 'lambda.zip')
  await mkdir(dirname(zip), { recursive: true })
  // An empty one: what is in it is not looked at.
  await writeFile(zip, Buffer.from(`504b0506${'00'.repeat(18)}`, 'hex'))
  await runToSuccess('tsc', ['--project', app])
  const out = join(root, `out-${mode}-${process.pid}`)
  const context = Object.entries({ ...CDK_CONTEXT, mode }).flatMap(([key, value]) => [
    '--context',
    `${key}=${value}`,
  ])
  const cdk = join(app, 'node_modules', '.bin', 'cdk')
  await runToSuccess('env', ['-C', app, cdk, 'synth', '--quiet', '--output', out, ...context])
  return join(out, 'StreamIngest.template.json')
}
