/**
 * `stream-ingest/lambda`: the handler of an AWS Lambda function.
 *
 *     import { createHandler } from 'stream-ingest/lambda'
 *     export const handler = await createHandler(new URL('./pipelines.yaml', import.meta.url))
 *
 * @module
 */
export type { DrainResult } from './drain.ts'
export { createHandler, type HandlerOptions, lambdaHandler } from './handler.ts'
export type { KafkaEventResponse } from './kafka-trigger.ts'
export type { LambdaContext, LambdaHandler } from './lambda-context.ts'
export { type RuntimeLoopOptions, runRuntimeLoop } from './runtime-loop.ts'
