/**
 * Consumer groups of the classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
 *
 * A group is `empty`, `joining` (members come in, until all known ones have or the rebalance timeout is over), `syncing`
 * (the leader works out who reads what) or `stable`. Static members (KIP-345) are treated as dynamic ones.
 *
 * @module
 */
import type { Schedule } from './api.ts'
import { PROTOCOL_ERRORS, type ProtocolErrorCode } from './protocol-error.ts'

const GROUPS_MAX = 1_000
const MEMBERS_PER_GROUP_MAX = 1_000
const SESSION_TIMEOUT_MS_MAX = 1_800_000

export interface JoinRequest {
  readonly group: string
  /** Empty at the first join. */
  readonly memberId: string
  readonly clientId: string | null
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocolType: string
  readonly protocols: readonly { readonly name: string; readonly metadata: Uint8Array }[]
  /** From version 4 a new member is first given its id, and joins with it (KIP-394). */
  readonly requiresKnownMemberId: boolean
}

export interface JoinResult {
  readonly errorCode: ProtocolErrorCode
  readonly generation: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leaderId: string
  readonly memberId: string
  /** Filled for the leader only. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Uint8Array }[]
}

export interface SyncResult {
  readonly errorCode: ProtocolErrorCode
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly assignment: Uint8Array
}

interface Member {
  readonly memberId: string
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  protocols: JoinRequest['protocols']
  assignment: Uint8Array
  answerJoin: ((result: JoinResult) => void) | null
  answerSync: ((result: SyncResult) => void) | null
  cancelSession: () => void
}

interface Group {
  state: 'empty' | 'joining' | 'syncing' | 'stable'
  generation: number
  protocolType: string
  protocolName: string
  leaderId: string
  readonly members: Map<string, Member>
  cancelRebalance: () => void
}

const NOTHING: Uint8Array = new Uint8Array(0)

export class GroupCoordinator {
  readonly #schedule: Schedule
  readonly #random: () => number
  readonly #groups = new Map<string, Group>()

  constructor(schedule: Schedule, random: () => number) {
    this.#schedule = schedule
    this.#random = random
  }

  /** Answers when the rebalance is complete: with every member's subscription for the leader. */
  join(request: JoinRequest): Promise<JoinResult> {
    const { memberId, protocols, protocolType } = request
    const refuse = (errorCode: ProtocolErrorCode, id = memberId): Promise<JoinResult> =>
      Promise.resolve(failedJoin(errorCode, id))
    if (request.group === '') return refuse(PROTOCOL_ERRORS.INVALID_GROUP_ID)
    if (request.sessionTimeoutMs <= 0 || request.sessionTimeoutMs > SESSION_TIMEOUT_MS_MAX) {
      return refuse(PROTOCOL_ERRORS.INVALID_SESSION_TIMEOUT)
    }
    const group = this.#open(request.group, protocolType)
    if (group === null) return refuse(PROTOCOL_ERRORS.GROUP_MAX_SIZE_REACHED)
    if (memberId === '' && request.requiresKnownMemberId) {
      return refuse(PROTOCOL_ERRORS.MEMBER_ID_REQUIRED, this.#newMemberId(request.clientId))
    }
    if (group.members.size > 0 && (group.protocolType !== protocolType || !sharesProtocol(group, request))) {
      return refuse(PROTOCOL_ERRORS.INCONSISTENT_GROUP_PROTOCOL)
    }
    if (protocols.length === 0) return refuse(PROTOCOL_ERRORS.INCONSISTENT_GROUP_PROTOCOL)
    const id = memberId === '' ? this.#newMemberId(request.clientId) : memberId
    if (!group.members.has(id) && group.members.size >= MEMBERS_PER_GROUP_MAX) {
      return refuse(PROTOCOL_ERRORS.GROUP_MAX_SIZE_REACHED)
    }
    group.protocolType = protocolType
    const member = group.members.get(id) ?? createMember(id, request)
    member.cancelSession()
    Object.assign(member, {
      sessionTimeoutMs: request.sessionTimeoutMs,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs,
      protocols,
    })
    group.members.set(id, member)
    return new Promise(resolve => {
      member.answerJoin?.(failedJoin(PROTOCOL_ERRORS.UNKNOWN_MEMBER_ID, id))
      member.answerJoin = resolve
      this.#rebalance(group)
    })
  }

  /** Answers when the leader has sent the assignments. */
  sync(
    groupId: string,
    generation: number,
    memberId: string,
    assignments: ReadonlyMap<string, Uint8Array>,
  ): Promise<SyncResult> {
    const group = this.#groups.get(groupId)
    const member = group?.members.get(memberId)
    const errorCode = checkMember(group, generation, memberId)
    if (group === undefined || member === undefined || errorCode !== 0) {
      return Promise.resolve(failedSync(errorCode))
    }
    if (group.state === 'joining') return Promise.resolve(failedSync(PROTOCOL_ERRORS.REBALANCE_IN_PROGRESS))
    this.#keepAlive(group, member)
    if (group.state === 'stable') return Promise.resolve(syncResult(group, member))
    return new Promise(resolve => {
      member.answerSync = resolve
      if (memberId !== group.leaderId) return
      group.state = 'stable'
      for (const each of group.members.values()) {
        // The assignment is a view into the leader's request, which must not be kept alive by it.
        each.assignment = new Uint8Array(assignments.get(each.memberId) ?? NOTHING)
        each.answerSync?.(syncResult(group, each))
        each.answerSync = null
      }
    })
  }

  heartbeat(groupId: string, generation: number, memberId: string): ProtocolErrorCode {
    const group = this.#groups.get(groupId)
    const member = group?.members.get(memberId)
    const errorCode = checkMember(group, generation, memberId)
    if (group === undefined || member === undefined || errorCode !== 0) return errorCode
    this.#keepAlive(group, member)
    return group.state === 'joining' ? PROTOCOL_ERRORS.REBALANCE_IN_PROGRESS : PROTOCOL_ERRORS.NONE
  }

  leave(groupId: string, memberId: string): ProtocolErrorCode {
    const group = this.#groups.get(groupId)
    const member = group?.members.get(memberId)
    if (group === undefined || member === undefined) return PROTOCOL_ERRORS.UNKNOWN_MEMBER_ID
    this.#remove(group, member)
    return PROTOCOL_ERRORS.NONE
  }

  /** May this client commit offsets? Generation −1 is a client outside the group: only while the group is empty. */
  checkCommit(groupId: string, generation: number, memberId: string): ProtocolErrorCode {
    const group = this.#groups.get(groupId)
    if (generation < 0 && memberId === '') {
      return group === undefined || group.members.size === 0
        ? PROTOCOL_ERRORS.NONE
        : PROTOCOL_ERRORS.UNKNOWN_MEMBER_ID
    }
    return checkMember(group, generation, memberId)
  }

  /** Answers everyone who waits and stops all timers. */
  close(): void {
    for (const group of this.#groups.values()) {
      group.cancelRebalance()
      for (const member of group.members.values()) {
        member.cancelSession()
        dismiss(member, PROTOCOL_ERRORS.COORDINATOR_NOT_AVAILABLE)
      }
    }
    this.#groups.clear()
  }

  #open(groupId: string, protocolType: string): Group | null {
    const known = this.#groups.get(groupId)
    if (known !== undefined) return known
    if (this.#groups.size >= GROUPS_MAX) return null
    const group: Group = {
      state: 'empty',
      generation: 0,
      protocolType,
      protocolName: '',
      leaderId: '',
      members: new Map(),
      cancelRebalance: () => {},
    }
    this.#groups.set(groupId, group)
    return group
  }

  #rebalance(group: Group): void {
    const isStarting = group.state !== 'joining'
    group.state = 'joining'
    if (isStarting) {
      for (const member of group.members.values()) {
        member.answerSync?.(failedSync(PROTOCOL_ERRORS.REBALANCE_IN_PROGRESS))
        member.answerSync = null
      }
      const timeoutMs = Math.max(...[...group.members.values()].map(member => member.rebalanceTimeoutMs))
      group.cancelRebalance()
      group.cancelRebalance = this.#schedule(timeoutMs, () => this.#expireJoin(group))
    }
    const isComplete = [...group.members.values()].every(member => member.answerJoin !== null)
    if (isComplete) this.#completeJoin(group)
  }

  /** Who has not come back by now is out. */
  #expireJoin(group: Group): void {
    for (const member of [...group.members.values()]) {
      if (member.answerJoin !== null) continue
      member.cancelSession()
      group.members.delete(member.memberId)
    }
    this.#completeJoin(group)
  }

  #completeJoin(group: Group): void {
    group.cancelRebalance()
    group.generation++
    const members = [...group.members.values()]
    const [first] = members
    if (first === undefined) {
      group.state = 'empty'
      return
    }
    group.state = 'syncing'
    if (!group.members.has(group.leaderId)) group.leaderId = first.memberId
    const isCommon = (name: string): boolean =>
      members.every(member => member.protocols.some(protocol => protocol.name === name))
    group.protocolName = first.protocols.find(protocol => isCommon(protocol.name))?.name ?? ''
    const metadataOf = (member: Member): Uint8Array =>
      member.protocols.find(protocol => protocol.name === group.protocolName)?.metadata ?? NOTHING
    const subscriptions = members.map(member => ({ memberId: member.memberId, metadata: metadataOf(member) }))
    for (const member of members) {
      const answer = member.answerJoin
      member.answerJoin = null
      this.#keepAlive(group, member)
      answer?.({
        errorCode: PROTOCOL_ERRORS.NONE,
        generation: group.generation,
        protocolType: group.protocolType,
        protocolName: group.protocolName,
        leaderId: group.leaderId,
        memberId: member.memberId,
        members: member.memberId === group.leaderId ? subscriptions : [],
      })
    }
  }

  #keepAlive(group: Group, member: Member): void {
    member.cancelSession()
    member.cancelSession = this.#schedule(member.sessionTimeoutMs, () => this.#remove(group, member))
  }

  #remove(group: Group, member: Member): void {
    member.cancelSession()
    group.members.delete(member.memberId)
    dismiss(member, PROTOCOL_ERRORS.UNKNOWN_MEMBER_ID)
    if (group.members.size > 0) this.#rebalance(group)
    else {
      group.cancelRebalance()
      group.state = 'empty'
    }
  }

  #newMemberId(clientId: string | null): string {
    const suffix = Array.from({ length: 4 }, () =>
      Math.floor(this.#random() * 0x10000)
        .toString(16)
        .padStart(4, '0'),
    ).join('')
    return `${clientId ?? 'member'}-${suffix}`
  }
}

function createMember(memberId: string, request: JoinRequest): Member {
  const { sessionTimeoutMs, rebalanceTimeoutMs, protocols } = request
  return {
    memberId,
    sessionTimeoutMs,
    rebalanceTimeoutMs,
    protocols,
    assignment: NOTHING,
    answerJoin: null,
    answerSync: null,
    cancelSession: () => {},
  }
}

function sharesProtocol(group: Group, request: JoinRequest): boolean {
  const others = [...group.members.values()].filter(member => member.memberId !== request.memberId)
  return request.protocols.some(({ name }) =>
    others.every(member => member.protocols.some(protocol => protocol.name === name)),
  )
}

function checkMember(group: Group | undefined, generation: number, memberId: string): ProtocolErrorCode {
  if (group === undefined || !group.members.has(memberId)) return PROTOCOL_ERRORS.UNKNOWN_MEMBER_ID
  return group.generation === generation ? PROTOCOL_ERRORS.NONE : PROTOCOL_ERRORS.ILLEGAL_GENERATION
}

function dismiss(member: Member, errorCode: ProtocolErrorCode): void {
  member.answerJoin?.(failedJoin(errorCode, member.memberId))
  member.answerSync?.(failedSync(errorCode))
  member.answerJoin = null
  member.answerSync = null
}

function syncResult(group: Group, member: Member): SyncResult {
  const { protocolType, protocolName } = group
  return { errorCode: PROTOCOL_ERRORS.NONE, protocolType, protocolName, assignment: member.assignment }
}

export function failedJoin(errorCode: ProtocolErrorCode, memberId: string): JoinResult {
  return {
    errorCode,
    generation: -1,
    protocolType: null,
    protocolName: null,
    leaderId: '',
    memberId,
    members: [],
  }
}

export function failedSync(errorCode: ProtocolErrorCode): SyncResult {
  return { errorCode, protocolType: null, protocolName: null, assignment: NOTHING }
}
