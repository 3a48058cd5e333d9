/**
 * JoinGroup, SyncGroup, Heartbeat and LeaveGroup: the wire side of `group-coordinator.ts`.
 *
 * @module
 */
import { type Api, type ApiOutcome, NO_THROTTLE } from '../api.ts'
import { faultCode } from '../fault.ts'
import { failedJoin, failedSync } from '../group-coordinator.ts'
import { API_KEYS } from '../protocol-error.ts'

/*
  JoinGroup Request (Version: 0 - 9) => group_id session_timeout_ms rebalance_timeout_ms(1+) member_id
                                        group_instance_id(5+) protocol_type [protocols] reason(8+) TAG_BUFFER(6+)
    group_id, member_id, protocol_type => STRING
    session_timeout_ms, rebalance_timeout_ms => INT32
    group_instance_id, reason => NULLABLE_STRING
    protocols => name metadata TAG_BUFFER(6+)
      name => STRING
      metadata => BYTES

  JoinGroup Response (Version: 0 - 9) => throttle_time_ms(2+) error_code generation_id protocol_type(7+) protocol_name
                                         leader skip_assignment(9+) member_id [members] TAG_BUFFER(6+)
    protocol_name => STRING, NULLABLE_STRING(7+)
    members => member_id group_instance_id(5+) metadata TAG_BUFFER(6+)
*/
export const joinGroupApi: Api = {
  name: 'JoinGroup',
  key: API_KEYS.JoinGroup,
  minVersion: 0,
  maxVersion: 9,
  flexibleFrom: 6,
  async handle({ version, reader, response, clientId, fault }, broker): Promise<ApiOutcome> {
    const group = reader.string()
    const sessionTimeoutMs = reader.int32()
    const rebalanceTimeoutMs = version >= 1 ? reader.int32() : sessionTimeoutMs
    const memberId = reader.string()
    if (version >= 5) reader.nullableString()
    const protocolType = reader.string()
    const protocols = reader.array(() => {
      const name = reader.string()
      // A copy: the request's buffer must not live as long as the membership.
      const metadata = new Uint8Array(reader.bytes())
      reader.skipTags()
      return { name, metadata }
    })
    if (version >= 8) reader.nullableString()
    reader.skipTags()
    const ordered = faultCode(fault)
    const result =
      ordered !== 0
        ? failedJoin(ordered, memberId)
        : await broker.groups.join({
            group,
            memberId,
            clientId,
            sessionTimeoutMs,
            rebalanceTimeoutMs,
            protocolType,
            protocols,
            requiresKnownMemberId: version >= 4,
          })
    if (version >= 2) response.int32(NO_THROTTLE)
    response.int16(result.errorCode).int32(result.generation)
    if (version >= 7) response.string(result.protocolType).string(result.protocolName)
    else response.string(result.protocolName ?? '')
    response.string(result.leaderId)
    if (version >= 9) response.boolean(false)
    response.string(result.memberId)
    response.array(result.members, member => {
      response.string(member.memberId)
      if (version >= 5) response.string(null)
      response.bytes(member.metadata).tags()
    })
    response.tags()
    return 'respond'
  },
}

/*
  SyncGroup Request (Version: 0 - 5) => group_id generation_id member_id group_instance_id(3+) protocol_type(5+)
                                        protocol_name(5+) [assignments] TAG_BUFFER(4+)
    group_id, member_id => STRING
    generation_id => INT32
    group_instance_id, protocol_type, protocol_name => NULLABLE_STRING
    assignments => member_id assignment TAG_BUFFER(4+)
      assignment => BYTES

  SyncGroup Response (Version: 0 - 5) => throttle_time_ms(1+) error_code protocol_type(5+) protocol_name(5+) assignment
                                         TAG_BUFFER(4+)
*/
export const syncGroupApi: Api = {
  name: 'SyncGroup',
  key: API_KEYS.SyncGroup,
  minVersion: 0,
  maxVersion: 5,
  flexibleFrom: 4,
  async handle({ version, reader, response, fault }, broker): Promise<ApiOutcome> {
    const group = reader.string()
    const generation = reader.int32()
    const memberId = reader.string()
    if (version >= 3) reader.nullableString()
    if (version >= 5) {
      reader.nullableString()
      reader.nullableString()
    }
    const assignments = reader.array((): [memberId: string, assignment: Uint8Array] => {
      const entry: [string, Uint8Array] = [reader.string(), reader.bytes()]
      reader.skipTags()
      return entry
    })
    reader.skipTags()
    const ordered = faultCode(fault)
    const result =
      ordered !== 0
        ? failedSync(ordered)
        : await broker.groups.sync(group, generation, memberId, new Map(assignments))
    if (version >= 1) response.int32(NO_THROTTLE)
    response.int16(result.errorCode)
    if (version >= 5) response.string(result.protocolType).string(result.protocolName)
    response.bytes(result.assignment).tags()
    return 'respond'
  },
}

/*
  Heartbeat Request (Version: 0 - 4) => group_id generation_id member_id group_instance_id(3+) TAG_BUFFER(4+)
  Heartbeat Response (Version: 0 - 4) => throttle_time_ms(1+) error_code TAG_BUFFER(4+)
*/
export const heartbeatApi: Api = {
  name: 'Heartbeat',
  key: API_KEYS.Heartbeat,
  minVersion: 0,
  maxVersion: 4,
  flexibleFrom: 4,
  handle({ version, reader, response, fault }, broker) {
    const group = reader.string()
    const generation = reader.int32()
    const memberId = reader.string()
    if (version >= 3) reader.nullableString()
    reader.skipTags()
    const errorCode = faultCode(fault) || broker.groups.heartbeat(group, generation, memberId)
    if (version >= 1) response.int32(NO_THROTTLE)
    response.int16(errorCode).tags()
    return 'respond'
  },
}

/*
  LeaveGroup Request (Version: 0 - 5) => group_id member_id(-2) [members](3+) TAG_BUFFER(4+)
    members => member_id group_instance_id reason(5+) TAG_BUFFER(4+)

  LeaveGroup Response (Version: 0 - 5) => throttle_time_ms(1+) error_code [members](3+) TAG_BUFFER(4+)
    members => member_id group_instance_id error_code TAG_BUFFER(4+)
*/
export const leaveGroupApi: Api = {
  name: 'LeaveGroup',
  key: API_KEYS.LeaveGroup,
  minVersion: 0,
  maxVersion: 5,
  flexibleFrom: 4,
  handle({ version, reader, response, fault }, broker) {
    const group = reader.string()
    const readMember = (): { memberId: string; instanceId: string | null } => {
      const member = { memberId: reader.string(), instanceId: reader.nullableString() }
      if (version >= 5) reader.nullableString()
      reader.skipTags()
      return member
    }
    const members =
      version >= 3 ? reader.array(readMember) : [{ memberId: reader.string(), instanceId: null }]
    reader.skipTags()
    const ordered = faultCode(fault)
    const results = members.map(member => ({
      ...member,
      errorCode: ordered || broker.groups.leave(group, member.memberId),
    }))
    if (version >= 1) response.int32(NO_THROTTLE)
    response.int16(version >= 3 ? ordered : (results[0]?.errorCode ?? ordered))
    if (version >= 3) {
      response.array(results, result => {
        response.string(result.memberId).string(result.instanceId).int16(result.errorCode).tags()
      })
    }
    response.tags()
    return 'respond'
  },
}
