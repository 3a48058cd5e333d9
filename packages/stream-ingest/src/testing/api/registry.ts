/**
 * Every API that the embedded broker answers.
 *
 * @module
 */
import type { Api } from '../api.ts'
import { createApiVersionsApi } from './api-versions.ts'
import { fetchApi } from './fetch.ts'
import { heartbeatApi, joinGroupApi, leaveGroupApi, syncGroupApi } from './group-membership.ts'
import { findCoordinatorApi, offsetCommitApi, offsetFetchApi } from './group-offset.ts'
import { listOffsetsApi } from './list-offsets.ts'
import { describeClusterApi, metadataApi } from './metadata.ts'
import { produceApi } from './produce.ts'
import { createPartitionsApi, createTopicsApi, deleteRecordsApi, deleteTopicsApi } from './topic-admin.ts'
import { addPartitionsToTxnApi, endTxnApi, initProducerIdApi } from './transaction.ts'

export const APIS: readonly Api[] = [
  produceApi,
  fetchApi,
  listOffsetsApi,
  metadataApi,
  offsetCommitApi,
  offsetFetchApi,
  findCoordinatorApi,
  joinGroupApi,
  heartbeatApi,
  leaveGroupApi,
  syncGroupApi,
  createApiVersionsApi(() => APIS),
  createTopicsApi,
  deleteTopicsApi,
  deleteRecordsApi,
  initProducerIdApi,
  addPartitionsToTxnApi,
  endTxnApi,
  createPartitionsApi,
  describeClusterApi,
]

const BY_KEY: ReadonlyMap<number, Api> = new Map(APIS.map(api => [api.key, api]))

export function findApi(key: number): Api | undefined {
  return BY_KEY.get(key)
}
