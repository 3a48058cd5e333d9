/**
 * What AWS Lambda hands to a handler, as far as it is used here.
 *
 * @module
 */

export interface LambdaContext {
  readonly awsRequestId: string
  readonly functionName?: string
  readonly functionVersion?: string
  /** Milliseconds until the invocation is killed. */
  getRemainingTimeInMillis(): number
}

/** The answer is plain JSON: no bigint is in it. */
export type LambdaHandler = (event: unknown, context: LambdaContext) => Promise<unknown>
