/**
 * The schema of a Parquet file as a tree, with levels, and where in it the columns of a table are.
 *
 * parquet-format › Nested Types; PROTOCOL.md › Column Mapping.
 *
 * @module
 */
import type { SchemaElement } from 'hyparquet'
import { type ColumnMappingMode, fieldId, physicalName } from '../column-mapping.ts'
import type { DataType, StructField } from '../schema.ts'

export interface FileNode {
  readonly element: SchemaElement
  readonly children: readonly FileNode[]
  /** From the root, which is the first, to this node. */
  readonly path: readonly SchemaElement[]
  readonly definitionLevel: number
  readonly repetitionLevel: number
  /** Of a leaf: which one it is in the schema's order, as row groups list their columns; −1 of a group. */
  readonly leafIndex: number
}

/** Schema elements come in depth-first order, each saying how many children follow. */
export function fileTree(schema: readonly SchemaElement[]): FileNode {
  let next = 0
  let leaves = 0
  const walk = (parent: FileNode | null): FileNode => {
    const element = schema[next++]
    if (element === undefined) throw new Error('the schema in the footer is cut off')
    const repetition = parent === null ? 'REQUIRED' : element.repetition_type
    const childCount = element.num_children ?? 0
    const children: FileNode[] = []
    const node: FileNode = {
      element,
      children,
      path: [...(parent?.path ?? []), element],
      definitionLevel: (parent?.definitionLevel ?? 0) + (repetition === 'REQUIRED' ? 0 : 1),
      repetitionLevel: (parent?.repetitionLevel ?? 0) + (repetition === 'REPEATED' ? 1 : 0),
      leafIndex: isGroup(element, parent) ? -1 : leaves++,
    }
    for (let i = 0; i < childCount; i++) children.push(walk(node))
    return node
  }
  return walk(null)
}

/** Leaves have a physical type; a group without children has none. */
function isGroup(element: SchemaElement, parent: FileNode | null): boolean {
  return parent === null || element.type === undefined
}

/** The node of a field among its siblings; null where the file was written before the field was added. */
export function findField(
  field: StructField,
  siblings: readonly FileNode[],
  mode: ColumnMappingMode,
): FileNode | null {
  if (mode === 'id') {
    const id = fieldId(field)
    return id === null ? null : (siblings.find(node => node.element.field_id === id) ?? null)
  }
  const name = physicalName(field, mode)
  const exact = siblings.find(node => node.element.name === name)
  if (exact !== undefined || mode === 'name') return exact ?? null
  // Names are unique without regard to case, and some engines write them in another.
  const folded = name.toLowerCase()
  return siblings.find(node => node.element.name.toLowerCase() === folded) ?? null
}

/** A list or map as the file has it: what repeats, and what each repetition holds. */
export interface RepeatedNode {
  readonly repeated: FileNode
  /** A list's element, or a map's key and value. */
  readonly parts: readonly FileNode[]
}

/**
 * What repeats in a list, in each of the forms that writers have used (parquet-format › Lists, Backward-compatibility
 * rules).
 *
 * @returns null where the node is no list
 */
export function listParts(node: FileNode, element: DataType): RepeatedNode | null {
  // A field that is repeated without being annotated is a list of required elements.
  if (node.element.repetition_type === 'REPEATED') return { repeated: node, parts: [node] }
  const repeated = node.children[0]
  if (node.children.length !== 1 || repeated?.element.repetition_type !== 'REPEATED') return null
  const isTwoLevel =
    repeated.children.length !== 1 ||
    (element.kind === 'struct' &&
      (repeated.element.name === 'array' || repeated.element.name === `${node.element.name}_tuple`))
  return { repeated, parts: isTwoLevel ? [repeated] : repeated.children }
}

/** @returns null where the node is no map */
export function mapParts(node: FileNode): RepeatedNode | null {
  const repeated = node.children[0]
  if (node.children.length !== 1 || repeated?.element.repetition_type !== 'REPEATED') return null
  return repeated.children.length === 2 ? { repeated, parts: repeated.children } : null
}
