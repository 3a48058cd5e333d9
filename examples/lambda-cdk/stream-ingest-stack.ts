import { fileURLToPath } from 'node:url'
import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib'
import {
  Alarm,
  ComparisonOperator,
  MathExpression,
  Metric,
  Stats,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch'
import { type ISecurityGroup, type IVpc, SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import {
  Architecture,
  Code,
  Function as LambdaFunction,
  Runtime,
  StartingPosition,
} from 'aws-cdk-lib/aws-lambda'
import { ManagedKafkaEventSource, S3OnFailureDestination } from 'aws-cdk-lib/aws-lambda-event-sources'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import { BlockPublicAccess, Bucket } from 'aws-cdk-lib/aws-s3'
import { Schedule, ScheduleExpression, ScheduleTargetInput } from 'aws-cdk-lib/aws-scheduler'
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets'
import type { Construct } from 'constructs'

/** Of `npm run build:lambda -- --config examples/lambda-cdk/stream-ingest.yaml`. */
const BUNDLE = fileURLToPath(new URL('../../build/lambda/lambda.zip', import.meta.url))
const PREFIX = 'delta-tables'
/** Those of stream-ingest.yaml: a pipeline is called as its table. */
const PIPELINE = 'user_events'
const CONSUMER_GROUP = 'delta-ingest'
const NO_RETRIES = { retryAttempts: 0, maxEventAge: Duration.minutes(1) }

export interface StreamIngestProps extends StackProps {
  /**
   * `pull`: invoked on a schedule, reads Kafka itself; fewer and larger files. `trigger`: Lambda reads Kafka and hands over
   * batches; seconds of delay, many small files. Never both for one table.
   */
  readonly mode: 'pull' | 'trigger'
  readonly clusterName: string
  /** The last part of the cluster's ARN. */
  readonly clusterUuid: string
  /** Those for IAM authentication, port 9098. */
  readonly bootstrapServers: string
  readonly topic: string
  /** Of the table. It must exist. */
  readonly bucketName: string
  readonly vpcId: string
  readonly availabilityZones: string[]
  /** They reach the brokers, and S3 by a gateway endpoint. */
  readonly privateSubnetIds: string[]
  /** Must be let in by the brokers' security group on port 9098. */
  readonly securityGroupId: string
  /** Megabytes. Default 1769, one virtual CPU. */
  readonly memorySize?: number
  readonly lagAlarmMessages?: number
  readonly freshnessAlarm?: Duration
}

/** A topic of Amazon MSK into a Delta Lake table on S3, exactly once. */
export class StreamIngestStack extends Stack {
  readonly #props: StreamIngestProps
  readonly #network: { readonly vpc: IVpc; readonly securityGroups: ISecurityGroup[] }
  readonly #logGroup: LogGroup

  constructor(scope: Construct, id: string, props: StreamIngestProps) {
    super(scope, id, props)
    this.#props = props
    const { vpcId, availabilityZones, privateSubnetIds, securityGroupId } = props
    this.#network = {
      vpc: Vpc.fromVpcAttributes(this, 'Vpc', { vpcId, availabilityZones, privateSubnetIds }),
      securityGroups: [SecurityGroup.fromSecurityGroupId(this, 'SecurityGroup', securityGroupId)],
    }
    this.#logGroup = new LogGroup(this, 'LogGroup', {
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    })
    const ingest = props.mode === 'pull' ? this.#pullFunction() : this.#triggeredFunction()
    this.#maintenanceFunction()
    this.#alarms(ingest)
    new CfnOutput(this, 'Table', { value: `s3://${props.bucketName}/${PREFIX}/${PIPELINE}` })
  }

  #pullFunction(): LambdaFunction {
    const ingest = this.#function('Pull', {
      timeout: Duration.minutes(15),
      // Two at once would be exact all the same, and one of them in vain.
      reservedConcurrentExecutions: 1,
    })
    for (const statement of [...this.#readTopic(), ...this.#writeTable()]) ingest.addToRolePolicy(statement)
    this.#schedule('Drain', ingest, Duration.minutes(5))
    return ingest
  }

  #triggeredFunction(): LambdaFunction {
    // Behind a Kafka trigger no more than 14 minutes.
    const ingest = this.#function('Triggered', { timeout: Duration.minutes(5) })
    for (const statement of [...this.#readTopic(), ...this.#writeTable()]) ingest.addToRolePolicy(statement)
    const failedBatches = new Bucket(this, 'FailedBatches', {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      removalPolicy: RemovalPolicy.RETAIN,
    })
    ingest.addEventSource(
      new ManagedKafkaEventSource({
        clusterArn: this.#kafkaArn('cluster'),
        topic: this.#props.topic,
        consumerGroupId: CONSUMER_GROUP,
        startingPosition: StartingPosition.TRIM_HORIZON,
        // As few and as large files as a trigger can give.
        batchSize: 10_000,
        maxBatchingWindow: Duration.minutes(1),
        provisionedPollerConfig: { minimumPollers: 1, maximumPollers: 2 },
        // Without this one a bad record would be lost: the function answers which offsets are not stored.
        reportBatchItemFailures: true,
        bisectBatchOnError: true,
        retryAttempts: 5,
        maxRecordAge: Duration.days(7),
        onFailure: new S3OnFailureDestination(failedBatches),
      }),
    )
    return ingest
  }

  #maintenanceFunction(): void {
    const maintenance = this.#function('Maintenance', {
      timeout: Duration.minutes(15),
      reservedConcurrentExecutions: 1,
    })
    for (const statement of this.#writeTable()) maintenance.addToRolePolicy(statement)
    maintenance.addToRolePolicy(
      new PolicyStatement({ actions: ['s3:DeleteObject'], resources: [this.#tableArn('*')] }),
    )
    this.#schedule('Optimize', maintenance, Duration.hours(1), { optimize: true })
    this.#schedule('Vacuum', maintenance, Duration.days(1), { vacuum: true })
  }

  #function(
    id: string,
    options: { readonly timeout: Duration; readonly reservedConcurrentExecutions?: number },
  ): LambdaFunction {
    const { bootstrapServers, topic, bucketName, memorySize = 1769 } = this.#props
    return new LambdaFunction(this, id, {
      code: Code.fromAsset(BUNDLE),
      handler: 'index.handler',
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize,
      ...this.#network,
      logGroup: this.#logGroup,
      environment: {
        INGEST_CONFIG: 'stream-ingest.yaml',
        BOOTSTRAP_SERVERS: bootstrapServers,
        TOPIC: topic,
        BUCKET: bucketName,
        PREFIX,
      },
      // A drain that failed is done by the next one. Retries of it would pile up behind the one that is allowed to run.
      ...NO_RETRIES,
      ...options,
    })
  }

  #schedule(id: string, target: LambdaFunction, every: Duration, event?: Record<string, unknown>): void {
    new Schedule(this, id, {
      schedule: ScheduleExpression.rate(every),
      target: new LambdaInvoke(target, {
        ...NO_RETRIES,
        ...(event === undefined ? {} : { input: ScheduleTargetInput.fromObject(event) }),
      }),
    })
  }

  /** The group: a trigger reads from its offsets. Of the pull function they are for tools that show lag. */
  #readTopic(): PolicyStatement[] {
    return [
      new PolicyStatement({
        actions: ['kafka-cluster:Connect', 'kafka-cluster:DescribeCluster'],
        resources: [this.#kafkaArn('cluster')],
      }),
      new PolicyStatement({
        actions: ['kafka-cluster:DescribeTopic', 'kafka-cluster:ReadData'],
        resources: [this.#kafkaArn('topic', this.#props.topic)],
      }),
      new PolicyStatement({
        actions: ['kafka-cluster:DescribeGroup', 'kafka-cluster:AlterGroup'],
        resources: [this.#kafkaArn('group', CONSUMER_GROUP)],
      }),
    ]
  }

  /** Appends, and deletes expired files of the log only. */
  #writeTable(): PolicyStatement[] {
    return [
      new PolicyStatement({
        actions: ['s3:ListBucket'],
        resources: [`arn:${this.partition}:s3:::${this.#props.bucketName}`],
        // IfExists: without this right S3 says of an object that is not there that it is forbidden.
        conditions: { StringLikeIfExists: { 's3:prefix': `${PREFIX}/*` } },
      }),
      new PolicyStatement({
        actions: ['s3:GetObject', 's3:PutObject', 's3:AbortMultipartUpload'],
        resources: [this.#tableArn('*')],
      }),
      new PolicyStatement({
        actions: ['s3:DeleteObject'],
        resources: [this.#tableArn('*/_delta_log/*'), this.#tableArn('*/_stream_ingest/*')],
      }),
    ]
  }

  #alarms(ingest: LambdaFunction): void {
    const { mode, lagAlarmMessages = 1_000_000, freshnessAlarm = Duration.minutes(30) } = this.#props
    const above = { comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD, evaluationPeriods: 3 }
    new Alarm(this, 'FailuresAlarm', {
      alarmDescription: "Invocations fail; the error is in the function's log.",
      metric: ingest.metricErrors({ period: Duration.minutes(5) }),
      ...above,
      datapointsToAlarm: 2,
      threshold: 0,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    })
    const lag = { statistic: Stats.MAXIMUM, period: Duration.minutes(5) }
    new Alarm(this, 'LagAlarm', {
      alarmDescription: 'The table is many messages behind.',
      metric: mode === 'pull' ? this.#ownMetric('Lag', lag.period) : ingest.metric('OffsetLag', lag),
      ...above,
      threshold: lagAlarmMessages,
      treatMissingData: TreatMissingData.IGNORE,
    })
    new Alarm(this, 'FreshnessAlarm', {
      alarmDescription:
        'The newest row of the table is old and there is more to read, or nothing has been said of it for an hour.',
      metric: new MathExpression({
        expression: 'freshness / 60000',
        label: 'Minutes',
        usingMetrics: { freshness: this.#ownMetric('Freshness', Duration.minutes(20)) },
        period: Duration.minutes(20),
      }),
      ...above,
      threshold: freshnessAlarm.toMinutes(),
      // A function that is scheduled and says nothing does not run. A topic may well be quiet for an hour.
      treatMissingData: mode === 'pull' ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
    })
  }

  #ownMetric(metricName: string, period: Duration): Metric {
    return new Metric({
      namespace: 'StreamIngest',
      metricName,
      dimensionsMap: { Pipeline: PIPELINE },
      statistic: Stats.MAXIMUM,
      period,
    })
  }

  #kafkaArn(kind: 'cluster' | 'topic' | 'group', name?: string): string {
    const { clusterName, clusterUuid } = this.#props
    const path = [kind, clusterName, clusterUuid, ...(name === undefined ? [] : [name])].join('/')
    return `arn:${this.partition}:kafka:${this.region}:${this.account}:${path}`
  }

  #tableArn(pattern: string): string {
    return `arn:${this.partition}:s3:::${this.#props.bucketName}/${PREFIX}/${pattern}`
  }
}
