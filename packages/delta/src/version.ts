/**
 * The release of this library, as commits and data files name it. A test holds it equal to the package's.
 *
 * @module
 */

export const VERSION = '0.1.0'
