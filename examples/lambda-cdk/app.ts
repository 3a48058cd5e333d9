import { App } from 'aws-cdk-lib'
import { StreamIngestStack } from './stream-ingest-stack.ts'

const app = new App()
const needed = (name: string): string => {
  const value: unknown = app.node.tryGetContext(name)
  if (typeof value !== 'string' || value === '')
    throw new Error(`say which ${name}: \`npx cdk deploy --context ${name}=…\``)
  return value
}

const mode = app.node.tryGetContext('mode') ?? 'pull'
if (mode !== 'pull' && mode !== 'trigger') throw new Error('the mode is `pull` or `trigger`')

new StreamIngestStack(app, 'StreamIngest', {
  mode,
  clusterName: needed('clusterName'),
  clusterUuid: needed('clusterUuid'),
  bootstrapServers: needed('bootstrapServers'),
  topic: needed('topic'),
  bucketName: needed('bucket'),
  vpcId: needed('vpcId'),
  availabilityZones: needed('availabilityZones').split(','),
  privateSubnetIds: needed('subnetIds').split(','),
  securityGroupId: needed('securityGroupId'),
})
