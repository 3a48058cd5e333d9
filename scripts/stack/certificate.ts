/**
 * Certificates for tests of TLS: an authority, and what it signs, in the few forms of X.509 that a server needs.
 *
 * RFC 5280, section 4.1; DER with the tags below. Keys are on the curve P-256, signatures ECDSA with SHA-256.
 * ```
 * Certificate => tbsCertificate signatureAlgorithm signatureValue
 * TBSCertificate => [0] version serialNumber signature issuer validity subject subjectPublicKeyInfo [3] extensions
 * ```
 *
 * @module
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIPv4 } from 'node:net'

/** PEM texts. */
export interface Certificate {
  readonly certificate: string
  /** PKCS #8. */
  readonly key: string
}

export interface IssueOptions {
  /** Of the subject. */
  readonly commonName: string
  /** DNS names and IPv4 addresses that the certificate is for. */
  readonly hosts?: readonly string[]
  /** Default: a day ago. */
  readonly notBefore?: Date
  /** Default: in ten years. */
  readonly notAfter?: Date
}

const DAY_MS = 24 * 60 * 60 * 1000
const VALID_DAYS = 3650

const OID_COMMON_NAME = '2.5.4.3'
const OID_ECDSA_SHA256 = '1.2.840.10045.4.3.2'
const OID_ALT_NAME = '2.5.29.17'
const OID_BASIC_CONSTRAINTS = '2.5.29.19'

export class CertificateAuthority {
  /** PEM. */
  readonly certificate: string
  readonly #name: string
  readonly #key: KeyObject

  constructor(commonName: string) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#name = commonName
    this.#key = privateKey
    this.certificate = this.#certify({ commonName }, publicKey, true)
  }

  issue(options: IssueOptions): Certificate {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return {
      certificate: this.#certify(options, publicKey, false),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
  }

  #certify(options: IssueOptions, publicKey: KeyObject, isAuthority: boolean): string {
    const { commonName, hosts = [] } = options
    const notBefore = options.notBefore ?? new Date(Date.now() - DAY_MS)
    const notAfter = options.notAfter ?? new Date(Date.now() + VALID_DAYS * DAY_MS)
    const algorithm = sequence(objectId(OID_ECDSA_SHA256))
    const extensions = [
      ...(isAuthority ? [extension(OID_BASIC_CONSTRAINTS, sequence(element(0x01, Buffer.of(0xff))))] : []),
      ...(hosts.length > 0 ? [extension(OID_ALT_NAME, sequence(...hosts.map(generalName)))] : []),
    ]
    const signed = sequence(
      element(0xa0, element(0x02, Buffer.of(2))), // version 3
      element(0x02, positive(randomBytes(16))),
      algorithm,
      name(this.#name),
      sequence(generalizedTime(notBefore), generalizedTime(notAfter)),
      name(commonName),
      publicKey.export({ type: 'spki', format: 'der' }),
      ...(extensions.length > 0 ? [element(0xa3, sequence(...extensions))] : []),
    )
    const signature = sign('sha256', signed, { key: this.#key, dsaEncoding: 'der' })
    return pem(sequence(signed, algorithm, element(0x03, Buffer.of(0), signature)))
  }
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

/** Tag, length, content. */
function element(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content)
  const { length } = body
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), body])
  const digits = length < 0x100 ? [length] : [length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, 0x80 | digits.length, ...digits), body])
}

function sequence(...content: readonly Buffer[]): Buffer {
  return element(0x30, ...content)
}

/** An integer with its highest bit set would be negative. */
function positive(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(0x01), bytes])
}

function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const arc of rest) {
    const groups = [arc & 0x7f]
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift(0x80 | (left & 0x7f))
    bytes.push(...groups)
  }
  return element(0x06, Buffer.from(bytes))
}

function name(commonName: string): Buffer {
  const attribute = sequence(objectId(OID_COMMON_NAME), element(0x0c, Buffer.from(commonName)))
  return sequence(element(0x31, attribute))
}

/** UTCTime up to 2049, as the RFC demands. */
function generalizedTime(time: Date): Buffer {
  const digits = time.toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  return time.getUTCFullYear() < 2050
    ? element(0x17, Buffer.from(digits.slice(2)))
    : element(0x18, Buffer.from(digits))
}

function generalName(host: string): Buffer {
  return isIPv4(host)
    ? element(0x87, Buffer.from(host.split('.').map(Number)))
    : element(0x82, Buffer.from(host))
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(objectId(id), element(0x01, Buffer.of(0xff)), element(0x04, value))
}
