/**
 * Orders of about 1 KB: structs in structs, a list of structs with lists in it, a map.
 *
 * @module
 */
import { Chance } from './random.ts'
import { type Shape, type ShapeMessage, START_TIMESTAMP_MS } from './shape.ts'

const INTERVAL_MS = 1_000
const STATUSES = ['placed', 'paid', 'packed', 'shipped', 'delivered', 'returned'] as const
const NAMES = [
  'Ada Lovelace',
  'Zoë Ångström',
  'José Núñez',
  'Mary Shelley',
  '李小龙',
  'Olga O"Brien',
] as const
const STREETS = ['Main Street', 'Rue de la Paix', 'Königstraße', 'Calle Mayor', 'Via Roma'] as const
const CITIES = ['Berlin', 'Málaga', 'Kraków', 'Lyon', 'Torino', 'Utrecht', 'São Paulo'] as const
const COUNTRIES = ['DE', 'ES', 'PL', 'FR', 'IT', 'NL', 'BR'] as const
const TITLES = [
  'blue kettle, 1.7 l',
  'garden chair "Lisbon"',
  'espresso cups, set of six',
  'wool blanket 140 × 200',
  'desk lamp with a dimmer',
] as const
const TAGS = ['kitchen', 'garden', 'sale', 'new', 'fragile', 'bulky', 'gift'] as const
const LABEL_KEYS = ['channel', 'campaign', 'warehouse', 'carrier', 'priority', 'coupon'] as const
const NOTES = [
  'Please leave it with the neighbours;\nthe bell does not work.',
  'Deliver after 6 p.m., second floor, door on the left hand side of the lift.',
  null,
] as const

export const nestedOrders: Shape = {
  name: 'nested',
  title: 'nested orders',
  columns: [
    { name: 'order_id', type: 'int64', required: true },
    { name: 'placed_at', type: 'timestamp_millisecond', required: true },
    { name: 'status', type: 'utf8' },
    {
      name: 'customer',
      type: {
        struct: {
          id: 'int64',
          name: 'utf8',
          email: 'utf8',
          address: {
            struct: {
              street: 'utf8',
              city: 'utf8',
              postcode: 'utf8',
              country: 'utf8',
              latitude: 'float64',
              longitude: 'float64',
            },
          },
        },
      },
    },
    {
      name: 'items',
      type: {
        list: {
          struct: {
            sku: 'utf8',
            title: 'utf8',
            quantity: 'int32',
            price: 'float64',
            tags: { list: 'utf8' },
          },
        },
      },
    },
    { name: 'labels', type: { map: 'utf8', keys: LABEL_KEYS } },
    { name: 'totals', type: { struct: { net: 'float64', tax: 'float64', gross: 'float64' } } },
    { name: 'note', type: 'utf8' },
  ],
  count: 400_000,
  quickCount: 60_000,
  messages: orders,
}

function* orders(seed: number, count: number): Generator<ShapeMessage, void, undefined> {
  const chance = new Chance(seed)
  for (let index = 0; index < count; index++) {
    const placedAt = START_TIMESTAMP_MS + index * INTERVAL_MS
    const orderId = 10_000_000 + index
    const order = {
      order_id: orderId,
      placed_at: placedAt,
      status: chance.pick(STATUSES),
      customer: customer(chance),
      items: Array.from({ length: 3 + chance.below(4) }, () => item(chance)),
      labels: labels(chance),
      totals: totals(chance),
      note: chance.pick(NOTES),
    }
    yield {
      key: Buffer.from(String(orderId), 'latin1'),
      value: Buffer.from(JSON.stringify(order), 'utf8'),
      timestampMs: placedAt,
    }
  }
}

function customer(chance: Chance): object {
  const id = chance.below(1_000_000)
  return {
    id,
    name: chance.pick(NAMES),
    email: `customer.${id}@mail.example.com`,
    address: {
      street: `${chance.pick(STREETS)} ${1 + chance.below(200)}`,
      city: chance.pick(CITIES),
      postcode: String(10_000 + chance.below(90_000)),
      country: chance.pick(COUNTRIES),
      latitude: (chance.below(180_000_000) - 90_000_000) / 1e6,
      longitude: (chance.below(360_000_000) - 180_000_000) / 1e6,
    },
  }
}

function item(chance: Chance): object {
  return {
    sku: `SKU-${chance.hex32()}`,
    title: chance.pick(TITLES),
    quantity: 1 + chance.below(9),
    price: chance.below(40_000) / 4,
    tags: Array.from({ length: chance.below(4) }, () => chance.pick(TAGS)),
  }
}

/** Each key in half of the messages. */
function labels(chance: Chance): Readonly<Record<string, string>> {
  const present = LABEL_KEYS.filter(() => chance.once(2))
  return Object.fromEntries(present.map(key => [key, `${key}-${chance.below(1_000)}`]))
}

function totals(chance: Chance): object {
  const net = chance.below(400_000) / 4
  return { net, tax: net / 4, gross: net + net / 4 }
}
