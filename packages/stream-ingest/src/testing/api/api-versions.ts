/**
 * ApiVersions: which requests this broker answers.
 *
 * @module
 */
import { type Api, NO_THROTTLE } from '../api.ts'
import { faultCode } from '../fault.ts'
import { API_KEYS, PROTOCOL_ERRORS, type ProtocolErrorCode } from '../protocol-error.ts'
import type { WireWriter } from '../wire.ts'

/*
  ApiVersions Request (Version: 0 - 4) => client_software_name(3+) client_software_version(3+) TAG_BUFFER(3+)

  ApiVersions Response (Version: 0 - 4) => error_code [api_keys] throttle_time_ms(1+) TAG_BUFFER(3+)
    error_code => INT16
    api_keys => api_key min_version max_version TAG_BUFFER(3+)
      api_key, min_version, max_version => INT16
    throttle_time_ms => INT32

  The response header stays at version 0 (no tag buffer) in all versions: a client must be able to read it before it
  knows what the broker speaks (KIP-511).
*/
export function createApiVersionsApi(apis: () => readonly Api[]): Api {
  return {
    name: 'ApiVersions',
    key: API_KEYS.ApiVersions,
    minVersion: 0,
    maxVersion: 4,
    flexibleFrom: 3,
    handle({ version, reader, response, fault }) {
      if (version >= 3) {
        reader.string()
        reader.string()
        reader.skipTags()
      }
      writeApiVersions(response, version, faultCode(fault), apis())
      return 'respond'
    },
  }
}

/** To a client that asks in a version of the future: the error, and the list, in version 0 (KIP-511). */
export function writeUnsupportedApiVersions(response: WireWriter, apis: readonly Api[]): void {
  writeApiVersions(response, 0, PROTOCOL_ERRORS.UNSUPPORTED_VERSION, apis)
}

function writeApiVersions(
  response: WireWriter,
  version: number,
  errorCode: ProtocolErrorCode,
  apis: readonly Api[],
): void {
  response.int16(errorCode)
  response.array(apis, api => {
    response.int16(api.key).int16(api.minVersion).int16(api.maxVersion).tags()
  })
  if (version >= 1) response.int32(NO_THROTTLE)
  response.tags()
}
