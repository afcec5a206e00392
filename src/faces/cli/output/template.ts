/** The part of Go's text/template that people use with `--format`: fields, pipes, `range`, `if`, and the functions of the docker CLI. */
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { callFunction, isTrue, printValue, type TemplateFunctionName, isFunction } from './template-functions.ts';
import { goJson } from './go-json.ts';

export type Template = (value: Json) => string;

type Operand =
  | { readonly kind: 'field'; readonly path: readonly string[] }
  | { readonly kind: 'literal'; readonly value: Json }
  | { readonly kind: 'function'; readonly name: TemplateFunctionName }
  | { readonly kind: 'pipe'; readonly pipe: Pipe; readonly path: readonly string[] };
type Pipe = readonly (readonly Operand[])[];
type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipe: Pipe }
  | { readonly kind: 'if' | 'range' | 'with'; readonly pipe: Pipe; readonly body: readonly Node[]; readonly otherwise: readonly Node[] };

/** Makes a function of a template's text. Throws `cli/bad-template`, also later for a field that a value does not have. */
export function compileTemplate(source: string): Template {
  const pieces = splitPieces(source);
  const nodes = parseNodes(pieces, source, []);
  return (value) => nodes.map((node) => evaluate(node, value)).join('');
}

/** The fields that a template names right under `.`: what a table has as columns. */
export function fieldsOf(source: string): readonly string[] {
  return [...source.matchAll(/\{\{[^{}]*?\.([A-Za-z]\w*)[^{}]*\}\}/gu)].map((match) => match[1] ?? '');
}

/** `\t` and `\n` as people type them on a command line. */
export function unescapeFormat(format: string): string {
  return format.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
}

type Piece = { readonly kind: 'text' | 'action'; readonly text: string };

function splitPieces(source: string): Piece[] {
  const pieces: Piece[] = [];
  let trimNext = false;
  let rest = source;
  for (;;) {
    const open = rest.indexOf('{{');
    const action = open < 0 ? null : /^\{\{(-\s)?((?:"(?:[^"\\]|\\.)*"|`[^`]*`|[^"`}]|\}(?!\}))*?)(\s-)?\}\}/u.exec(rest.slice(open));
    if (open >= 0 && !action) throw bad(source, 'an action is not closed with "}}"');
    let text = open < 0 ? rest : rest.slice(0, open);
    if (trimNext) text = text.trimStart();
    if (action?.[1] !== undefined) text = text.trimEnd();
    if (text !== '') pieces.push({ kind: 'text', text });
    if (!action) return pieces;
    pieces.push({ kind: 'action', text: (action[2] ?? '').trim() });
    trimNext = action[3] !== undefined;
    rest = rest.slice(open + action[0].length);
  }
}

/** Nodes up to the first action named in `until`, which is left in place. */
function parseNodes(pieces: Piece[], source: string, until: readonly string[]): readonly Node[] {
  const nodes: Node[] = [];
  for (let piece = pieces[0]; piece !== undefined; piece = pieces[0]) {
    if (piece.kind === 'action' && until.includes(piece.text)) return nodes;
    pieces.shift();
    if (piece.kind === 'text') nodes.push(piece as Node & Piece);
    else if (!piece.text.startsWith('/*')) nodes.push(parseAction(piece.text, pieces, source));
  }
  if (until.length > 0) throw bad(source, '"{{end}}" is missing');
  return nodes;
}

function parseAction(text: string, pieces: Piece[], source: string): Node {
  const block = /^(if|range|with)\s+(.*)$/su.exec(text);
  if (!block) return { kind: 'print', pipe: parsePipe(text, source) };
  const body = parseNodes(pieces, source, ['end', 'else']);
  const otherwise = pieces.shift()?.text === 'else' ? parseNodes(pieces, source, ['end']) : undefined;
  if (otherwise) pieces.shift();
  return { kind: block[1] as 'if' | 'range' | 'with', pipe: parsePipe(block[2] ?? '', source), body, otherwise: otherwise ?? [] };
}

function parsePipe(text: string, source: string): Pipe {
  const tokens = [...text.matchAll(/"(?:[^"\\]|\\.)*"|`[^`]*`|\)(?:\.\w+)+|[()|]|[^\s()|"`]+/gu)].map((match) => match[0]);
  const pipe = readPipe(tokens, source);
  if (tokens.length > 0) throw bad(source, `unexpected "${tokens[0] ?? ''}"`);
  return pipe;
}

function readPipe(tokens: string[], source: string): Pipe {
  const commands: Operand[][] = [[]];
  for (let token = tokens[0]; token !== undefined && !token.startsWith(')'); token = tokens[0]) {
    tokens.shift();
    if (token === '|') commands.push([]);
    else commands.at(-1)?.push(token === '(' ? readGroup(tokens, source) : readOperand(token, source));
  }
  if (commands.some((command) => command.length === 0)) throw bad(source, 'a command is missing');
  return commands;
}

function readGroup(tokens: string[], source: string): Operand {
  const pipe = readPipe(tokens, source);
  const close = tokens.shift();
  if (close === undefined) throw bad(source, '")" is missing');
  return {
    kind: 'pipe',
    pipe,
    path: close
      .slice(1)
      .split('.')
      .filter((name) => name !== ''),
  };
}

function readOperand(token: string, source: string): Operand {
  if (token.startsWith('`')) return { kind: 'literal', value: token.slice(1, -1) };
  if (token.startsWith('"')) return { kind: 'literal', value: readText(token, source) };
  if (/^\.(?:\w+(?:\.\w+)*)?$/u.test(token)) return { kind: 'field', path: token.split('.').filter((name) => name !== '') };
  if (/^-?\d+(?:\.\d+)?$/u.test(token)) return { kind: 'literal', value: Number(token) };
  if (token === 'true' || token === 'false') return { kind: 'literal', value: token === 'true' };
  if (token === 'nil') return { kind: 'literal', value: null };
  if (isFunction(token)) return { kind: 'function', name: token };
  throw bad(source, token.startsWith('$') ? `variables ("${token}") are not built yet` : `function "${token}" is not known`);
}

function readText(token: string, source: string): string {
  try {
    return String(JSON.parse(token));
  } catch {
    throw bad(source, `cannot read ${token}`);
  }
}

function evaluate(node: Node, dot: Json): string {
  switch (node.kind) {
    case 'text':
      return node.text;
    case 'print':
      return printValue(runPipe(node.pipe, dot));
    case 'if':
      return run(isTrue(runPipe(node.pipe, dot)) ? node.body : node.otherwise, dot);
    case 'with': {
      const value = runPipe(node.pipe, dot);
      return isTrue(value) ? run(node.body, value) : run(node.otherwise, dot);
    }
    case 'range': {
      const value = runPipe(node.pipe, dot);
      const items: readonly Json[] =
        value === null ? [] : Array.isArray(value) ? value : typeof value === 'object' ? Object.values(value).map(orNull) : [];
      return items.length > 0 ? items.map((item) => run(node.body, item)).join('') : run(node.otherwise, dot);
    }
    default:
      return unreachable(node, 'template node');
  }
}

function run(nodes: readonly Node[], dot: Json): string {
  return nodes.map((node) => evaluate(node, dot)).join('');
}

function runPipe(pipe: Pipe, dot: Json): Json {
  let result: Json | undefined;
  for (const [first, ...rest] of pipe) {
    const values = rest.map((operand) => valueOf(operand, dot));
    if (first?.kind === 'function') result = callFunction(first.name, result === undefined ? values : [...values, result]);
    else if (first && rest.length === 0 && result === undefined) result = valueOf(first, dot);
    else throw new JettisonError('cli/bad-template', 'Template: only functions take arguments');
  }
  return orNull(result);
}

function valueOf(operand: Operand, dot: Json): Json {
  switch (operand.kind) {
    case 'field':
      return fieldOf(dot, operand.path);
    case 'literal':
      return operand.value;
    case 'function':
      return callFunction(operand.name, []);
    case 'pipe':
      return fieldOf(runPipe(operand.pipe, dot), operand.path);
    default:
      return unreachable(operand, 'template operand');
  }
}

function fieldOf(value: Json, path: readonly string[]): Json {
  let current = value;
  for (const name of path) {
    if (current === null || typeof current !== 'object' || Array.isArray(current) || !Object.hasOwn(current, name)) {
      throw new JettisonError('cli/bad-template', `Template: no field "${name}"`, { hint: knownFields(current) });
    }
    current = orNull((current as { readonly [key: string]: Json | undefined })[name]);
  }
  return current;
}

function knownFields(value: Json): string {
  const names = value !== null && typeof value === 'object' && !Array.isArray(value) ? Object.keys(value) : [];
  return names.length === 0 ? `The value there is ${goJson(value).slice(0, 60)}` : `There is ${names.map((name) => `.${name}`).join(' ')}`;
}

function orNull(value: Json | undefined): Json {
  return value ?? null;
}

function bad(source: string, why: string): JettisonError {
  return new JettisonError('cli/bad-template', `Cannot read the template "${source}": ${why}`);
}
