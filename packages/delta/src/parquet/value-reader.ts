/**
 * From leaf columns back to nested values: one reader per node of the table's schema, each taking one value at a time.
 *
 * parquet-format › Nested Encoding (Dremel). Definition levels say how much of a path is there, repetition levels where
 * lists go on. A map is read as its entries, so that keys of any type stay what they are.
 *
 * @module
 */

import type { ColumnMappingMode } from '../column-mapping.ts'
import type { ArrayType, DataType, MapType, StructField, StructType } from '../schema.ts'
import { formatDataType } from '../schema-codec.ts'
import { type FileNode, findField, listParts, mapParts } from './file-schema.ts'
import { LeafReader } from './leaf-reader.ts'
import { type TextForm, valueConversion } from './leaf-value.ts'
import type { ParquetFile } from './parquet-reader.ts'

/** Reads the values of one node in turn. */
export interface ValueReader {
  /** The next value: where the node is absent, null. */
  read(): unknown
  /** Passes over the one entry that stands for something absent above this node. */
  skip(): void
  /** Any leaf at or below the node: its levels say whether the node is there. */
  readonly leaf: LeafReader
}

/** The readers of a file's columns, and the leaves that must be opened for each row group. */
export interface FileReaders {
  /** One for each field; null where the file does not have it. */
  readonly columns: readonly (ValueReader | null)[]
  readonly leaves: readonly LeafSlot[]
}

/** A reader and the leaf of the file that it reads. */
export interface LeafSlot {
  readonly leafIndex: number
  readonly reader: LeafReader
}

/**
 * Plans how the fields of a table are read from a file.
 *
 * @param textForm how `string` and `binary` values come
 *
 * @throws Error where the file holds a column in another form than the table's schema says, naming it
 */
export function createReaders(
  fields: readonly StructField[],
  root: FileNode,
  mode: ColumnMappingMode,
  textForm: TextForm = 'string',
): FileReaders {
  const plan = new ReaderPlan(mode, textForm)
  const columns = fields.map(field => plan.field(field, root.children))
  return { columns, leaves: plan.leaves }
}

/**
 * Fetches the column chunks of a row group and puts each reader on its first entry.
 *
 * @throws DeltaLakeError `DELTA_DATA_CORRUPT`, `PARQUET_UNSUPPORTED`, and what the store throws
 */
export async function openRowGroup(
  file: ParquetFile,
  group: number,
  leaves: readonly LeafSlot[],
): Promise<void> {
  const chunks = await file.readChunks(
    group,
    leaves.map(({ leafIndex }) => leafIndex),
  )
  try {
    for (const [i, { leafIndex, reader }] of leaves.entries()) {
      const chunk = chunks[i]
      if (chunk === undefined) throw new Error(`the row group has no column chunk ${leafIndex}`)
      reader.open(chunk)
    }
  } catch (cause) {
    throw file.undecodable(group, cause)
  }
}

class ReaderPlan {
  readonly leaves: LeafSlot[] = []
  readonly #mode: ColumnMappingMode
  readonly #textForm: TextForm

  constructor(mode: ColumnMappingMode, textForm: TextForm) {
    this.#mode = mode
    this.#textForm = textForm
  }

  field(field: StructField, siblings: readonly FileNode[]): ValueReader | null {
    if (field.type.kind === 'primitive' && field.type.name === 'void') return null
    const node = findField(field, siblings, this.#mode)
    return node === null ? null : this.#node(field.type, node)
  }

  #node(type: DataType, node: FileNode): ValueReader {
    switch (type.kind) {
      case 'struct':
        return this.#struct(type, node)
      case 'array':
        return this.#list(type, node)
      case 'map':
        return this.#map(type, node)
      default:
        return this.#primitive(type, node)
    }
  }

  #primitive(type: DataType, node: FileNode): ValueReader {
    const convert = node.leafIndex < 0 ? null : valueConversion(node.element, type, this.#textForm)
    if (convert === null) throw mismatch(type, node)
    const leaf = new LeafReader(node, convert)
    this.leaves.push({ leafIndex: node.leafIndex, reader: leaf })
    return new PrimitiveReader(leaf)
  }

  #struct(type: StructType, node: FileNode): ValueReader {
    if (node.leafIndex >= 0) throw mismatch(type, node)
    const fields = type.fields.map(field => ({ name: field.name, reader: this.field(field, node.children) }))
    if (fields.some(({ reader }) => reader !== null)) return new StructReader(fields, node)
    // The struct is older than all of its fields: another leaf below it says where it is null.
    const witness = firstLeaf(node)
    if (witness === null) throw mismatch(type, node)
    const leaf = new LeafReader(witness, values => values)
    this.leaves.push({ leafIndex: witness.leafIndex, reader: leaf })
    return new StructReader(fields, node, new WitnessReader(leaf, node.repetitionLevel))
  }

  #list(type: ArrayType, node: FileNode): ValueReader {
    const parts = listParts(node, type.element)
    if (parts === null) throw mismatch(type, node)
    return new ListReader(this.#node(type.element, parts.parts[0]!), parts.repeated)
  }

  #map(type: MapType, node: FileNode): ValueReader {
    const parts = mapParts(node)
    if (parts === null) throw mismatch(type, node)
    const [key, value] = parts.parts
    return new MapReader(this.#node(type.key, key!), this.#node(type.value, value!), parts.repeated)
  }
}

class PrimitiveReader implements ValueReader {
  readonly leaf: LeafReader

  constructor(leaf: LeafReader) {
    this.leaf = leaf
  }

  read(): unknown {
    const { leaf } = this
    const value = leaf.definition === leaf.place.definitionLevel ? leaf.value() : null
    leaf.advance()
    return value
  }

  skip(): void {
    this.leaf.advance()
  }
}

/** Reads nothing, but keeps a leaf in step whose values nobody asked for. */
class WitnessReader implements ValueReader {
  readonly leaf: LeafReader
  readonly #repetitionLevel: number

  constructor(leaf: LeafReader, repetitionLevel: number) {
    this.leaf = leaf
    this.#repetitionLevel = repetitionLevel
  }

  read(): null {
    do this.leaf.advance()
    while (this.leaf.repetition > this.#repetitionLevel)
    return null
  }

  skip(): void {
    this.leaf.advance()
  }
}

interface StructFieldReader {
  readonly name: string
  readonly reader: ValueReader | null
}

class StructReader implements ValueReader {
  readonly leaf: LeafReader
  readonly #fields: readonly StructFieldReader[]
  readonly #readers: readonly ValueReader[]
  readonly #definitionLevel: number
  readonly #witness: ValueReader | null

  constructor(fields: readonly StructFieldReader[], node: FileNode, witness: ValueReader | null = null) {
    const readers = fields.map(({ reader }) => reader).filter(reader => reader !== null)
    if (witness !== null) readers.push(witness)
    this.leaf = readers[0]!.leaf
    this.#fields = fields
    this.#readers = readers
    this.#definitionLevel = node.definitionLevel
    this.#witness = witness
  }

  read(): unknown {
    if (this.leaf.definition < this.#definitionLevel) {
      this.skip()
      return null
    }
    this.#witness?.read()
    // fromEntries defines properties, so that a field named `__proto__` is one like any other.
    return Object.fromEntries(
      this.#fields.map(({ name, reader }) => [name, reader === null ? null : reader.read()]),
    )
  }

  skip(): void {
    for (const reader of this.#readers) reader.skip()
  }
}

class ListReader implements ValueReader {
  readonly leaf: LeafReader
  readonly #element: ValueReader
  readonly #elementDefinition: number
  readonly #repetition: number

  constructor(element: ValueReader, repeated: FileNode) {
    this.leaf = element.leaf
    this.#element = element
    this.#elementDefinition = repeated.definitionLevel
    this.#repetition = repeated.repetitionLevel
  }

  read(): unknown {
    const { leaf } = this
    if (leaf.definition < this.#elementDefinition) {
      // One level below an element is the list without any; a repeated field without annotation cannot be null.
      const isEmpty = leaf.definition === this.#elementDefinition - 1
      this.skip()
      return isEmpty ? [] : null
    }
    const elements: unknown[] = []
    do elements.push(this.#element.read())
    while (leaf.repetition === this.#repetition)
    return elements
  }

  skip(): void {
    this.#element.skip()
  }
}

class MapReader implements ValueReader {
  readonly leaf: LeafReader
  readonly #key: ValueReader
  readonly #value: ValueReader
  readonly #entryDefinition: number
  readonly #repetition: number

  constructor(key: ValueReader, value: ValueReader, repeated: FileNode) {
    this.leaf = key.leaf
    this.#key = key
    this.#value = value
    this.#entryDefinition = repeated.definitionLevel
    this.#repetition = repeated.repetitionLevel
  }

  read(): unknown {
    const { leaf } = this
    if (leaf.definition < this.#entryDefinition) {
      const isEmpty = leaf.definition === this.#entryDefinition - 1
      this.skip()
      return isEmpty ? [] : null
    }
    const entries: [unknown, unknown][] = []
    do entries.push([this.#key.read(), this.#value.read()])
    while (leaf.repetition === this.#repetition)
    return entries
  }

  skip(): void {
    this.#key.skip()
    this.#value.skip()
  }
}

function firstLeaf(node: FileNode): FileNode | null {
  if (node.leafIndex >= 0) return node
  for (const child of node.children) {
    const leaf = firstLeaf(child)
    if (leaf !== null) return leaf
  }
  return null
}

function mismatch(type: DataType, node: FileNode): Error {
  const { element, path } = node
  const held = element.type === undefined ? 'a group' : `${element.type}${annotation(node)}`
  const name = path
    .slice(1)
    .map(part => part.name)
    .join('.')
  return new Error(`holds the column \`${name}\` as ${held}, which cannot be read as ${formatDataType(type)}`)
}

function annotation({ element }: FileNode): string {
  const name = element.converted_type ?? element.logical_type?.type
  return name === undefined ? '' : ` (${name})`
}
