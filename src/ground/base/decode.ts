/** JSON from outside becomes a value once, here: limits first, then the shape. Errors name the path in the document. */
import * as v from 'valibot';
import { JettisonError, messageOf } from './errors.ts';

export type Document = {
  /** What it is called in messages: `manifest of "docker.io/library/busybox"`. */
  readonly what: string;
  /** Code of the errors: `oci/bad-manifest`. */
  readonly code: string;
  /** Most bytes it may have. */
  readonly limit: number;
  /** What to do where it is not what it should be; left out: get it from elsewhere. */
  readonly hint?: string;
};

const mostNesting = 64;
const damagedHint =
  'It is damaged or hostile, or was made by a program that does not keep to the format: get it from elsewhere, or have it made again';

/**
 * Parses UTF-8 JSON of at most `document.limit` bytes and 64 levels. Throws `document.code`.
 * Members are own properties, also those named `__proto__`: copy such objects by spread or Object.fromEntries, never key by key.
 */
export function parseJson(bytes: Uint8Array, document: Document): unknown {
  const refuse = (why: string): never => {
    throw new JettisonError(document.code, `Cannot read ${document.what}: ${why}`, {
      fault: 'environment',
      hint: document.hint ?? damagedHint,
    });
  };
  if (bytes.length > document.limit) return refuse(`it is longer than ${document.limit} bytes`);
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (nestingOf(text) > mostNesting) return refuse(`it is nested deeper than ${mostNesting} levels`);
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof JettisonError) throw error;
    return refuse(`it is not JSON${placeOf(error)}`);
  }
}

/** Only the place: the rest of the message quotes the text, which may be another file's than the one that was meant. */
function placeOf(error: unknown): string {
  const place = / at position \d+(?: \(line \d+ column \d+\))?|end of JSON input/u.exec(messageOf(error))?.[0];
  return place === undefined ? '' : `: ${place.trim()}`;
}

/** The value itself, not a copy, once it has the shape of `schema`: unknown members stay. Throws `document.code`, naming the path. */
export function checkShape<const S extends v.GenericSchema>(value: unknown, schema: S, document: Document): v.InferInput<S> {
  if (v.is(schema, value)) return value;
  const issue = v.safeParse(schema, value, { abortEarly: true }).issues?.[0];
  const path = issue ? v.getDotPath(issue) : null;
  const where = path === null ? '' : ` at "${path.slice(0, 200)}"`;
  throw new JettisonError(document.code, `Cannot read ${document.what}: ${(issue?.message ?? 'wrong shape').slice(0, 300)}${where}`, {
    fault: 'environment',
    hint: document.hint ?? damagedHint,
  });
}

/** A JSON object: neither null nor a list. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A schema for an object with any keys and text as values. (valibot's `record` overlooks members named `__proto__` or `constructor`.) */
export function stringMap(): v.GenericSchema<Record<string, string>> {
  return v.custom<Record<string, string>>(
    (value) => isJsonObject(value) && Object.values(value).every((member) => typeof member === 'string'),
    'Invalid type: expected an object of texts',
  );
}

/** How deep lists and objects of a JSON text are nested; 65 for anything deeper. */
function nestingOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (quoted) {
      if (unit === 0x5c) index++;
      else if (unit === 0x22) quoted = false;
    } else if (unit === 0x22) quoted = true;
    else if (unit === 0x5b || unit === 0x7b) {
      deepest = Math.max(deepest, ++depth);
      if (deepest > mostNesting) return deepest;
    } else if (unit === 0x5d || unit === 0x7d) depth--;
  }
  return deepest;
}
