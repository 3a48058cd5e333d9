/**
 * Columns in the kernel's memory, and how their rows get into builders: many at once.
 *
 * @module
 */
import type {
  BinaryBuilder,
  ListBuilder,
  MapBuilder,
  RowValidity,
  StructBuilder,
} from '@stream-ingest/delta/column'

/** Views of the kernel's memory, whose content changes with each scan. */
export interface StagedRows {
  /** One number: 0 where no row is null. */
  readonly nulls: Int32Array
  /** A byte a row, 0 for null. */
  readonly validity: Uint8Array
}

export abstract class StagedColumn {
  private readonly rows: StagedRows

  constructor(rows: StagedRows) {
    this.rows = rows
  }

  /** Appends the staged rows `[from, to)` to the builder. */
  abstract appendRows(from: number, to: number): void

  protected get validity(): RowValidity {
    return this.rows.nulls[0] === 0 ? null : this.rows.validity
  }
}

/** Values of one width: numbers of a kind, or booleans as a byte each. */
export class StagedValues<Values> extends StagedColumn {
  private readonly builder: ValuesBuilder<Values>
  private readonly values: Values

  constructor(rows: StagedRows, builder: ValuesBuilder<Values>, values: Values) {
    super(rows)
    this.builder = builder
    this.values = values
  }

  appendRows(from: number, to: number): void {
    this.builder.appendRows(this.values, this.validity, from, to)
  }
}

interface ValuesBuilder<Values> {
  appendRows(values: Values, validity: RowValidity, from: number, to: number): void
}

export class StagedTexts extends StagedColumn {
  private readonly builder: BinaryBuilder
  private readonly offsets: Int32Array
  private readonly data: Uint8Array

  constructor(rows: StagedRows, builder: BinaryBuilder, offsets: Int32Array, data: Uint8Array) {
    super(rows)
    this.builder = builder
    this.offsets = offsets
    this.data = data
  }

  appendRows(from: number, to: number): void {
    this.builder.appendRows(this.offsets, this.data, this.validity, from, to)
  }
}

export class StagedStruct extends StagedColumn {
  private readonly builder: StructBuilder
  private readonly fields: readonly StagedColumn[]

  constructor(rows: StagedRows, builder: StructBuilder, fields: readonly StagedColumn[]) {
    super(rows)
    this.builder = builder
    this.fields = fields
  }

  appendRows(from: number, to: number): void {
    this.builder.appendRows(this.validity, from, to)
    for (const field of this.fields) field.appendRows(from, to)
  }
}

export class StagedList extends StagedColumn {
  private readonly builder: ListBuilder
  private readonly offsets: Int32Array
  private readonly element: StagedColumn

  constructor(rows: StagedRows, builder: ListBuilder, offsets: Int32Array, element: StagedColumn) {
    super(rows)
    this.builder = builder
    this.offsets = offsets
    this.element = element
  }

  appendRows(from: number, to: number): void {
    this.builder.appendRows(this.offsets, this.validity, from, to)
    this.element.appendRows(this.offsets[from]!, this.offsets[to]!)
  }
}

export class StagedMap extends StagedColumn {
  private readonly builder: MapBuilder
  private readonly offsets: Int32Array
  private readonly keys: StagedColumn
  private readonly values: StagedColumn

  constructor(
    rows: StagedRows,
    builder: MapBuilder,
    offsets: Int32Array,
    keys: StagedColumn,
    values: StagedColumn,
  ) {
    super(rows)
    this.builder = builder
    this.offsets = offsets
    this.keys = keys
    this.values = values
  }

  appendRows(from: number, to: number): void {
    this.builder.appendRows(this.offsets, this.validity, from, to)
    const first = this.offsets[from]!
    const end = this.offsets[to]!
    this.keys.appendRows(first, end)
    this.values.appendRows(first, end)
  }
}
