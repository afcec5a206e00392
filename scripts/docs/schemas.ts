/**
 * docs/schemas: a JSON schema (draft 2020-12) for each document that `--json` prints, made of the types in src/faces/documents. Those are plain on purpose: object types, lists, unions,
 * literals, references to each other, and what is written above a member is its description. Anything else is an error here.
 */
import { globSync, readFileSync } from 'node:fs';
import { parseSync, type ESTree } from 'rolldown/utils';

type Documented = { readonly name: string; readonly type: string; readonly command: string; readonly page: string };

const documented: readonly Documented[] = [
  { name: 'blame', type: 'BlameDocument', command: 'jettison blame --json', page: 'blame.md' },
  { name: 'build-record', type: 'BuildRecordDocument', command: 'jettison builds inspect --format json', page: 'why.md' },
  { name: 'check', type: 'CheckDocument', command: 'jettison check --json', page: 'check.md' },
  { name: 'context', type: 'ContextDocument', command: 'jettison context --json', page: 'context.md' },
  { name: 'debug', type: 'DebugDocument', command: 'jettison debug --json', page: 'debug.md' },
  { name: 'diff', type: 'DiffDocument', command: 'jettison diff --json', page: 'debug.md' },
  { name: 'ledger', type: 'LedgerDocument', command: 'jettison ledger --json', page: 'ledger.md' },
  { name: 'plan', type: 'PlanDocument', command: 'jettison plan --format json', page: 'why.md' },
  { name: 'why', type: 'WhyDocument', command: 'jettison why --json', page: 'why.md' },
];

type Schema = { readonly [member: string]: unknown };
type Alias = { readonly type: ESTree.TSType; readonly about: string | undefined; readonly aboutOf: (start: number) => string | undefined };

/** Paths with their texts. */
export function makeSchemas(): ReadonlyMap<string, string> {
  const aliases = readAliases();
  const pages = documented.map(
    (one) => [`docs/schemas/${one.name}.schema.json`, `${JSON.stringify(schemaOf(one, aliases), undefined, 2)}\n`] as const,
  );
  const rows = documented.map(
    ({ name, command, page }) => `| [${name}.schema.json](${name}.schema.json) | \`${command}\` | [${page}](../${page}) |`,
  );
  const index = [
    '# Schemas of what `--json` prints',
    '',
    'JSON Schema, draft 2020-12; in the npm package as `jettison/schemas/NAME.schema.json`. Made of the types in `src/faces/documents` by `npm run docs`; `jettison/store` gives the same values with the same types.',
    '',
    'Each document has a `version`. Members may be added within one; those that are here keep their names, types and meaning.',
    '',
    '| schema | command | page |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ];
  return new Map([...pages, ['docs/schemas/README.md', index.join('\n')]]);
}

function schemaOf({ name, type, command }: Documented, aliases: ReadonlyMap<string, Alias>): Schema {
  const used = new Set([type]);
  const definitions: Record<string, Schema> = {};
  for (const one of used) {
    const alias = aliases.get(one);
    if (alias === undefined) throw new Error(`No type "${one}" in src/faces/documents`);
    definitions[one] = described(alias.about, convert(alias.type, { aliases, alias, use: (other) => void used.add(other) }));
  }
  const { [type]: root, ...others } = definitions;
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: `urn:jettison:${name}`,
    title: `What "${command}" prints`,
    ...root,
    ...(Object.keys(others).length === 0 ? {} : { $defs: others }),
  };
}

function readAliases(): ReadonlyMap<string, Alias> {
  const found = new Map<string, Alias>();
  for (const file of globSync('src/faces/documents/*.ts').filter((path) => !/\/make-|\.test\./u.test(path))) {
    const text = readFileSync(file, 'utf8');
    const { program, comments } = parseSync(file, text);
    const aboutOf = (start: number): string | undefined => {
      const comment = comments.findLast(({ end }) => end <= start && /^[\s;]*$/u.test(text.slice(end, start)));
      return comment?.value.startsWith('*') === true ? comment.value.replaceAll(/\s*\n?\s*\*\s*/gu, ' ').trim() : undefined;
    };
    for (const statement of program.body) {
      if (statement.type !== 'ExportNamedDeclaration' || statement.declaration?.type !== 'TSTypeAliasDeclaration') continue;
      const { id, typeAnnotation } = statement.declaration;
      found.set(id.name, { type: typeAnnotation, about: aboutOf(statement.start), aboutOf });
    }
  }
  return found;
}

function described(about: string | undefined, schema: Schema): Schema {
  return about === undefined ? schema : { description: about, ...schema };
}

type Around = { readonly aliases: ReadonlyMap<string, Alias>; readonly alias: Alias; readonly use: (name: string) => void };

const simple: ReadonlyMap<string, string> = new Map([
  ['TSStringKeyword', 'string'],
  ['TSNumberKeyword', 'number'],
  ['TSBooleanKeyword', 'boolean'],
  ['TSNullKeyword', 'null'],
]);

function convert(type: ESTree.TSType, around: Around): Schema {
  const name = simple.get(type.type);
  if (name !== undefined) return { type: name };
  if (type.type === 'TSParenthesizedType' || type.type === 'TSTypeOperator') return convert(type.typeAnnotation, around);
  if (type.type === 'TSLiteralType') return { const: valueOf(type) };
  if (type.type === 'TSArrayType') return { type: 'array', items: convert(type.elementType, around) };
  if (type.type === 'TSUnionType') return convertUnion(type.types, around);
  if (type.type === 'TSTypeLiteral' || type.type === 'TSIntersectionType') return convertObject(type, around);
  if (type.type !== 'TSTypeReference') throw new Error(`A document has a type that no schema is made of: ${type.type}`);
  const other = nameOf(type);
  around.use(other);
  return { $ref: `#/$defs/${other}` };
}

function nameOf({ typeName }: ESTree.TSTypeReference): string {
  if (typeName.type === 'Identifier') return typeName.name;
  throw new Error('A document refers to something else than a type of src/faces/documents');
}

function valueOf({ literal }: ESTree.TSLiteralType): string | number | boolean {
  if (literal.type === 'Literal' && ['string', 'number', 'boolean'].includes(typeof literal.value))
    return literal.value as string | number | boolean;
  throw new Error('A document has a literal that is neither text, number nor boolean');
}

/** Literals are an enumeration, simple types a list of them. */
function convertUnion(types: readonly ESTree.TSType[], around: Around): Schema {
  const literals = types.flatMap((type) => (type.type === 'TSLiteralType' ? [valueOf(type)] : []));
  const rest = types.filter(({ type }) => type !== 'TSLiteralType').map((type) => convert(type, around));
  const isNull = rest.length === 1 && rest[0]?.['type'] === 'null';
  if (literals.length > 0 && (rest.length === 0 || isNull)) return { enum: [...literals, ...(isNull ? [null] : [])] };
  const parts = [...(literals.length === 0 ? [] : [{ enum: literals }]), ...rest];
  const isSimple = parts.every((part) => Object.keys(part).length === 1 && 'type' in part);
  return isSimple ? { type: rest.map((part) => part['type']) } : { anyOf: parts };
}

type Members = { readonly properties: Readonly<Record<string, Schema>>; readonly required: readonly string[] };

/** Of an intersection all members in one, so that a reader can tell which there are. */
function convertObject(type: ESTree.TSType, around: Around): Schema {
  const { properties, required } = membersOf(type, around);
  return { type: 'object', properties, required };
}

function membersOf(type: ESTree.TSType, around: Around): Members {
  if (type.type === 'TSIntersectionType') {
    const all = type.types.map((one) => membersOf(one, around));
    return {
      properties: Object.assign({}, ...all.map(({ properties }) => properties)) as Members['properties'],
      required: all.flatMap(({ required }) => required),
    };
  }
  if (type.type === 'TSTypeReference') {
    const alias = around.aliases.get(nameOf(type));
    if (alias === undefined) throw new Error(`No type "${nameOf(type)}" in src/faces/documents`);
    return membersOf(alias.type, { ...around, alias });
  }
  if (type.type !== 'TSTypeLiteral') throw new Error('A document has an intersection of something else than objects');
  const properties: Record<string, Schema> = {};
  const required: string[] = [];
  for (const member of type.members) {
    if (
      member.type !== 'TSPropertySignature' ||
      member.key.type !== 'Identifier' ||
      member.typeAnnotation === null ||
      member.typeAnnotation === undefined
    )
      throw new Error('A document has a member that is no plain property');
    const { name } = member.key;
    properties[name] = described(around.alias.aboutOf(member.start), convert(member.typeAnnotation.typeAnnotation, around));
    if (!member.optional) required.push(name);
  }
  return { properties, required };
}
