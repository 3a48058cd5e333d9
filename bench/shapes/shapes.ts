/**
 * Every shape, in the order in which they are measured.
 *
 * @module
 */
import { nestedOrders } from './nested.ts'
import type { Shape } from './shape.ts'
import { userEvents } from './user-events.ts'
import { webLog } from './web-log.ts'
import { wideReadings } from './wide.ts'

export const SHAPES: readonly Shape[] = [userEvents, nestedOrders, wideReadings, webLog]
