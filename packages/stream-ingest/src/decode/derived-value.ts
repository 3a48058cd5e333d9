/**
 * Date, hour, year, month and day of an instant, in UTC.
 *
 * @module
 */
import { civilFromDays } from '@stream-ingest/delta'
import { type ColumnBuilder, type Int64Builder, NumberBuilder } from '@stream-ingest/delta/column'
import type { DeriveUnit } from '../config/ingest-config.ts'
import { SECONDS_PER_DAY } from './instant.ts'

const MICROS_PER_SECOND = 1_000_000
const SECONDS_PER_HOUR = 3_600

/** Computes one unit; the civil date is kept from one row to the next, which is the same day almost always. */
export class UnitOfInstant {
  private readonly unit: DeriveUnit
  private day = Number.NaN
  private ofDay = 0

  constructor(unit: DeriveUnit) {
    this.unit = unit
  }

  /** @param second whole seconds since the epoch */
  ofSecond(second: number): number {
    const day = Math.floor(second / SECONDS_PER_DAY)
    if (this.unit === 'hour') return Math.floor((second - day * SECONDS_PER_DAY) / SECONDS_PER_HOUR)
    if (day !== this.day) {
      this.day = day
      this.ofDay = unitOfDay(this.unit, day)
    }
    return this.ofDay
  }
}

function unitOfDay(unit: 'date' | 'year' | 'month' | 'day' | 'hour', days: number): number {
  if (unit === 'date') return days
  const { year, month, day } = civilFromDays(days)
  return unit === 'year' ? year : unit === 'month' ? month : day
}

/** Whole seconds, rounded down, of a timestamp column's row, or the first second of a date column's; null for null. */
export function secondAt(builder: ColumnBuilder, row: number): number | null {
  if (builder.isNullAt(row)) return null
  if (builder instanceof NumberBuilder) return builder.at(row) * SECONDS_PER_DAY
  const int64 = builder as Int64Builder
  const micros = int64.numberAt(row)
  if (Number.isSafeInteger(micros)) return Math.floor(micros / MICROS_PER_SECOND)
  const exact = int64.at(row)
  const perSecond = BigInt(MICROS_PER_SECOND)
  const second = exact / perSecond
  return Number(exact % perSecond < 0n ? second - 1n : second)
}
