/** Go's text/template as people use it with `--format`: the tree of `template-syntax.ts` laid on a value. */
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { badCall, callFunction, isTrue, nullText, printValue } from './template-functions.ts';
import { goJson } from '#ground/base/go-json.ts';
import { parseTemplate, type Node, type Operand, type Pipe } from './template-syntax.ts';

export type Template = (value: Json) => string;

export type TemplateOptions = {
  /** The value holds column titles: functions that change a text leave it as it is. */
  readonly forTitles?: boolean;
  /** What stands behind a field's name is handed to it: `.Label "a"`. */
  readonly methods?: Readonly<Record<string, (dot: Json, argument: string) => string>>;
  /** The value is a document whose members buildx's templates name as its Go types do: `.Digest` for `digest`, `.OS` for `os`. */
  readonly goNames?: boolean;
  /** Of what `json` prints. */
  readonly indent?: number;
};

/** Makes a function of a template's text. Throws `cli/bad-template`, also later for a field that a value does not have. */
export function compileTemplate(source: string, options: TemplateOptions = {}): Template {
  const nodes = parseTemplate(source);
  return (value) => {
    const out: string[] = [];
    runNodes(nodes, { dot: value, variables: { values: new Map([['$', value]]), outer: undefined }, out, options });
    return out.join('');
  };
}

/** The fields of `.` that a template names: what a table has as columns. */
export function fieldsOf(source: string): readonly string[] {
  return parseTemplate(source).flatMap(fieldsOfNode);
}

/** `\t` and `\n` as people type them on a command line. */
export function unescapeFormat(format: string): string {
  return format.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
}

/** Inside `range` and `with`, `.` is another value; only their `else` still means the row. */
function fieldsOfNode(node: Node): readonly string[] {
  switch (node.kind) {
    case 'print':
      return fieldsOfPipe(node.pipe);
    case 'if':
      return [...fieldsOfPipe(node.pipe), ...node.body.flatMap(fieldsOfNode), ...node.otherwise.flatMap(fieldsOfNode)];
    case 'range':
    case 'with':
      return [...fieldsOfPipe(node.pipe), ...node.otherwise.flatMap(fieldsOfNode)];
    case 'text':
    case 'break':
    case 'continue':
      return [];
    default:
      return unreachable(node, 'template node');
  }
}

function fieldsOfPipe(pipe: Pipe): readonly string[] {
  return pipe.commands.flat().flatMap((operand) => {
    if (operand.kind === 'field') return operand.path.slice(0, 1);
    return operand.kind === 'pipe' ? fieldsOfPipe(operand.pipe) : [];
  });
}

type Variables = { readonly values: Map<string, Json>; readonly outer: Variables | undefined };
type Run = { readonly dot: Json; readonly variables: Variables; readonly out: string[]; readonly options: TemplateOptions };
type Next = 'go on' | 'break' | 'continue';

function runNodes(nodes: readonly Node[], run: Run): Next {
  for (const node of nodes) {
    const next = runNode(node, run);
    if (next !== 'go on') return next;
  }
  return 'go on';
}

function runNode(node: Node, run: Run): Next {
  switch (node.kind) {
    case 'text':
      run.out.push(node.text);
      return 'go on';
    case 'print': {
      const value = runPipe(node.pipe, run);
      declare(node.pipe, [value], run);
      if (node.pipe.names.length === 0) run.out.push(value === null ? nullText(lastName(node.pipe)) : printValue(value));
      return 'go on';
    }
    case 'if':
    case 'with': {
      const inner = within(run, run.dot);
      const value = runPipe(node.pipe, inner);
      declare(node.pipe, [value], inner);
      if (!isTrue(value)) return runNodes(node.otherwise, inner);
      return runNodes(node.body, node.kind === 'if' ? inner : { ...inner, dot: value });
    }
    case 'range':
      return runRange(node, run);
    case 'break':
    case 'continue':
      return node.kind;
    default:
      return unreachable(node, 'template node');
  }
}

function runRange(node: Extract<Node, { readonly pipe: Pipe; readonly body: unknown }>, run: Run): Next {
  const entries = entriesOf(runPipe(node.pipe, run));
  if (entries.length === 0) return runNodes(node.otherwise, within(run, run.dot));
  for (const [key, value] of entries) {
    const inner = within(run, value);
    declare(node.pipe, node.pipe.names.length === 2 ? [key, value] : [value], inner);
    if (runNodes(node.body, inner) === 'break') break;
  }
  return 'go on';
}

/** Keys of maps in order, as Go visits them; a number counts from 0. */
function entriesOf(value: Json): readonly (readonly [Json, Json])[] {
  if (value === null) return [];
  if (Array.isArray(value)) return value.map((item: Json, index) => [index, item]);
  if (typeof value === 'number') return Array.from({ length: Math.min(Math.max(0, value), 1e6) }, (_, index) => [index, index]);
  if (typeof value !== 'object') throw badCall(`range can't iterate over ${printValue(value)}`);
  return Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]) => [key, orNull(item)]);
}

function within(run: Run, dot: Json): Run {
  return { ...run, dot, variables: { values: new Map(), outer: run.variables } };
}

function declare({ names, isNew }: Pipe, values: readonly Json[], run: Run): void {
  for (const [index, name] of names.entries()) {
    let scope = run.variables;
    while (!isNew && !scope.values.has(name) && scope.outer !== undefined) scope = scope.outer;
    scope.values.set(name, orNull(values[index]));
  }
}

function runPipe(pipe: Pipe, run: Run): Json {
  let result: Json | undefined;
  for (const command of pipe.commands) result = runCommand(command, result, run);
  return orNull(result);
}

function runCommand([first, ...rest]: readonly Operand[], before: Json | undefined, run: Run): Json {
  if (first?.kind === 'function') {
    if (first.name === 'and' || first.name === 'or') return runLogic(first.name, rest, before, run);
    const values = rest.map((operand) => valueOf(operand, run));
    return callFunction(first.name, before === undefined ? values : [...values, before], run.options);
  }
  if (first && rest.length === 0 && before === undefined) return valueOf(first, run);
  if (first?.kind === 'field' && rest.length === 1 && before === undefined) {
    const method = run.options.methods?.[first.path.join('.')];
    const argument = rest[0] === undefined ? null : valueOf(rest[0], run);
    if (method !== undefined && typeof argument === 'string') return method(run.dot, argument);
  }
  throw badCall(`can't give argument to non-function ${first === undefined ? '' : describe(first)}`);
}

/** The first value that decides; what stands behind it is not looked at. */
function runLogic(name: 'and' | 'or', operands: readonly Operand[], before: Json | undefined, run: Run): Json {
  const count = operands.length + (before === undefined ? 0 : 1);
  if (count === 0) throw badCall(`wrong number of args for ${name}: want at least 1 got 0`);
  let value: Json = null;
  for (let index = 0; index < count; index++) {
    const operand = operands[index];
    value = operand === undefined ? orNull(before) : valueOf(operand, run);
    if (isTrue(value) === (name === 'or')) return value;
  }
  return value;
}

function valueOf(operand: Operand, run: Run): Json {
  switch (operand.kind) {
    case 'field':
      return fieldOf(run.dot, operand.path, run.options);
    case 'variable':
      return fieldOf(lookUp(operand.name, run.variables), operand.path, run.options);
    case 'literal':
      return operand.value;
    case 'function':
      return callFunction(operand.name, [], run.options);
    case 'pipe':
      return fieldOf(runPipe(operand.pipe, run), operand.path, run.options);
    default:
      return unreachable(operand, 'template operand');
  }
}

function lookUp(name: string, variables: Variables | undefined): Json {
  for (let scope = variables; scope !== undefined; scope = scope.outer) if (scope.values.has(name)) return orNull(scope.values.get(name));
  return null;
}

function fieldOf(value: Json, path: readonly string[], options: TemplateOptions): Json {
  let current = value;
  for (const name of path) {
    const found = memberName(current, name, options);
    if (found === undefined || current === null || typeof current !== 'object' || Array.isArray(current)) {
      throw new JettisonError('cli/bad-template', `template: executing at <.${path.join('.')}>: can't evaluate field ${name}`, {
        hint: knownFields(current),
      });
    }
    current = orNull((current as { readonly [key: string]: Json | undefined })[found]);
  }
  return current;
}

/** Documents say `Id` and `ApiVersion`; docker's templates know them as `ID` and `APIVersion`, too. */
function memberName(value: Json, name: string, { goNames }: TemplateOptions): string | undefined {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
  if (Object.hasOwn(value, name)) return name;
  const other = name.replace(/ID$/u, 'Id').replace(/^API/u, 'Api');
  const all = goNames === true ? [other, name.slice(0, 1).toLowerCase() + name.slice(1), name.toLowerCase()] : [other];
  return all.find((one) => Object.hasOwn(value, one));
}

function knownFields(value: Json): string {
  const names = value !== null && typeof value === 'object' && !Array.isArray(value) ? Object.keys(value) : [];
  return names.length === 0 ? `The value there is ${goJson(value).slice(0, 60)}` : `There is ${names.map((name) => `.${name}`).join(' ')}`;
}

function lastName({ commands }: Pipe): string | undefined {
  const operand = commands.length === 1 && commands[0]?.length === 1 ? commands[0][0] : undefined;
  return operand === undefined || !('path' in operand) ? undefined : operand.path.at(-1);
}

function describe(operand: Operand): string {
  if (operand.kind === 'field') return `.${operand.path.join('.')}`;
  return operand.kind === 'literal' ? goJson(operand.value) : operand.kind === 'variable' ? operand.name : operand.kind;
}

function orNull(value: Json | undefined): Json {
  return value ?? null;
}
