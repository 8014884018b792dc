import { InputError, type Location } from '../errors.js';
import { describeValue, isRecord, messageOf, type RowValue } from './row.js';

/** Parses a row of JSON; throws InputError with the place. */
export function parseJsonRow(text: string, location: Location): RowValue {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(`Cannot parse the row as JSON: ${messageOf(error)}`, { location, cause: error });
  }
  if (!isRecord(value)) {
    throw new InputError(`Cannot read the row: wanted an object, got ${describeValue(value)}`, { location });
  }
  return value;
}
