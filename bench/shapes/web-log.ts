/**
 * Lines of a web server's log as JSON: long strings that repeat, paths that do not, quotes and escapes among them.
 *
 * @module
 */
import { Chance } from './random.ts'
import { type Shape, type ShapeMessage, START_TIMESTAMP_MS } from './shape.ts'

const INTERVAL_MS = 250
const METHODS = ['GET', 'GET', 'GET', 'GET', 'POST', 'HEAD', 'PUT', 'DELETE'] as const
const STATUSES = [200, 200, 200, 200, 204, 301, 304, 403, 404, 500] as const
const SECTIONS = ['products', 'blog', 'account/orders', 'search', 'static/img', 'api/v2/items'] as const
const USER_AGENTS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 15_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 19_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148',
  'Mozilla/5.0 (compatible; "ExampleBot"/2.1; +https://bot.example.com/info)',
  'curl/8.15.0',
] as const
const REFERRERS = [
  'https://www.example.com/',
  'https://search.example.org/?q=blue+kettle&lang=de',
  'https://news.example.net/2026/01/"ten best kettles"',
  'android-app://com.example.shop\\main',
  null,
] as const

export const webLog: Shape = {
  name: 'weblog',
  title: 'web log lines',
  columns: [
    { name: 'time', type: 'timestamp_millisecond', required: true },
    { name: 'host', type: 'utf8' },
    { name: 'ip', type: 'utf8' },
    { name: 'method', type: 'utf8' },
    { name: 'path', type: 'utf8' },
    { name: 'protocol', type: 'utf8' },
    { name: 'status', type: 'int32' },
    { name: 'bytes', type: 'int64' },
    { name: 'duration_ms', type: 'float64' },
    { name: 'referrer', type: 'utf8' },
    { name: 'user_agent', type: 'utf8' },
    { name: 'request_id', type: 'utf8' },
  ],
  count: 1_000_000,
  quickCount: 150_000,
  messages: lines,
}

function* lines(seed: number, count: number): Generator<ShapeMessage, void, undefined> {
  const chance = new Chance(seed)
  for (let index = 0; index < count; index++) {
    const time = START_TIMESTAMP_MS + index * INTERVAL_MS
    const line = {
      time,
      host: `web-${1 + chance.below(12)}.example.com`,
      ip: `10.${chance.below(256)}.${chance.below(256)}.${chance.below(256)}`,
      method: chance.pick(METHODS),
      path: path(chance),
      protocol: chance.once(4) ? 'HTTP/1.1' : 'HTTP/2.0',
      status: chance.pick(STATUSES),
      bytes: chance.below(200_000),
      duration_ms: chance.below(2_000_000) / 1_000,
      referrer: chance.pick(REFERRERS),
      user_agent: chance.pick(USER_AGENTS),
      request_id: `${chance.hex32()}${chance.hex32()}`,
    }
    yield { key: null, value: Buffer.from(JSON.stringify(line), 'utf8'), timestampMs: time }
  }
}

/** One in twelve has what a log has to escape: quotes, backslashes, tabs, letters beyond ASCII. */
function path(chance: Chance): string {
  const plain = `/${chance.pick(SECTIONS)}/${chance.below(100_000)}`
  if (!chance.once(12)) return `${plain}?ref=${chance.below(100)}`
  return `${plain}/café-“${chance.below(100)}”?q="tea\\coffee"\t${chance.below(100)}`
}
