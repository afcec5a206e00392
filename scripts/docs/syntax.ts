/** The syntax trees of the product's source files, walked without knowing every kind of node. */
import { globSync, readFileSync } from 'node:fs';
import { parseAst } from 'rolldown/parseAst';

export type Node = { readonly type: string; readonly start: number; readonly end: number; readonly [member: string]: unknown };
export type SourceFile = {
  readonly file: string;
  readonly floor: string;
  readonly room: string;
  readonly text: string;
  readonly tree: Node;
};
/** A node and the nodes around it, the innermost last. */
export type Visit = (node: Node, around: readonly Node[]) => void;

/** Every source file of `src/` but tests, in the order of their names. */
export function readSources(): readonly SourceFile[] {
  return globSync('src/**/*.ts')
    .filter((file) => !file.endsWith('.test.ts'))
    .toSorted()
    .map((file) => {
      const text = readFileSync(file, 'utf8');
      const [, floor = '', room = ''] = file.split('/');
      const tree = parseAst(text, { lang: 'ts' }, file) as unknown as Node;
      return { file, floor, room: floor === 'engine' || room.endsWith('.ts') ? floor : room, text, tree };
    });
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

export function nodes(value: unknown): readonly Node[] {
  return Array.isArray(value) ? value.filter(isNode) : [];
}

export function walk(node: Node, visit: Visit, around: readonly Node[] = []): void {
  visit(node, around);
  const below = [...around, node];
  for (const member of Object.values(node)) {
    if (isNode(member)) walk(member, visit, below);
    else for (const one of nodes(member)) walk(one, visit, below);
  }
}

/** The name of an identifier, or of the member that an expression ends with. */
export function nameOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === 'Identifier') return String(node['name']);
  return node.type === 'MemberExpression' && node['computed'] !== true ? nameOf(node['property']) : undefined;
}

/** The value of the member `name` of an object literal. */
export function memberOf(object: unknown, name: string): Node | undefined {
  if (!isNode(object) || object.type !== 'ObjectExpression') return undefined;
  const found = nodes(object['properties']).find((one) => one.type === 'Property' && nameOf(one['key']) === name);
  return found && isNode(found['value']) ? found['value'] : undefined;
}

export type FunctionFacts = { readonly name: string | undefined; readonly parameters: readonly Node[]; readonly exported: boolean };

/** The nearest function around, with the name it can be called by. */
export function functionAround(around: readonly Node[]): FunctionFacts | undefined {
  const at = around.findLastIndex((node) => /^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/u.test(node.type));
  const found = around[at];
  if (!found) return undefined;
  const holder = around[at - 1];
  const name = nameOf(found['id']) ?? nameOf(holder?.type === 'VariableDeclarator' ? holder['id'] : holder?.['key']);
  return { name, parameters: nodes(found['params']), exported: holder?.type === 'ExportNamedDeclaration' };
}
