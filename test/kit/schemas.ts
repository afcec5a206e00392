/** Real outputs against the schemas of docs/schemas. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Json } from '#ground/base/canonical-json.ts';
import { isJsonObject } from '#ground/base/decode.ts';

const folder = fileURLToPath(new URL('../../docs/schemas/', import.meta.url));
const checks = new Map<string, ValidateFunction>();

/**
 * Gives the document that a command printed, when it is as its schema says, with no member that the schema does not name; and when the schema refuses it without any one of its members (but those that are `optional`), with
 * another version, and with a member of another type.
 */
export function readDocument(name: string, text: string, optional: readonly string[] = []): Json {
  const document: unknown = JSON.parse(text);
  const check = checkOf(name);
  assert.ok(check(document), `${name}: ${JSON.stringify(check.errors)}\n${text}`);
  assert.ok(isJsonObject(document));
  const version = 'Version' in document ? 'Version' : 'version';
  assert.ok(!check({ ...document, [version]: 2 }), `${name} is accepted with another version`);
  for (const member of Object.keys(document)) {
    assert.ok(
      optional.includes(member) || !check(Object.fromEntries(Object.entries(document).filter(([key]) => key !== member))),
      `${name} is accepted without "${member}"`,
    );
    assert.ok(!check({ ...document, [member]: { of: 'another type' } }), `${name} is accepted with another type of "${member}"`);
  }
  return JSON.parse(text) as Json;
}

/** As it is published, members may be added; here none is that it does not name. */
function checkOf(name: string): ValidateFunction {
  const known = checks.get(name);
  if (known !== undefined) return known;
  const schema: unknown = JSON.parse(readFileSync(`${folder}${name}.schema.json`, 'utf8'), (_, value: unknown) =>
    isJsonObject(value) && value['type'] === 'object' && !('additionalProperties' in value)
      ? { ...value, additionalProperties: false }
      : value,
  );
  assert.ok(isJsonObject(schema));
  const made = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true }).compile(schema);
  checks.set(name, made);
  return made;
}
