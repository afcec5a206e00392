/** The text of a Go text/template as a tree: https://pkg.go.dev/text/template, but for `define`, `template` and `block`, and functions as values. */
import { JettisonError } from '#ground/base/errors.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { isFunction, type TemplateFunctionName } from './template-functions.ts';

export type Operand =
  | { readonly kind: 'field'; readonly path: readonly string[] }
  | { readonly kind: 'variable'; readonly name: string; readonly path: readonly string[] }
  | { readonly kind: 'literal'; readonly value: Json }
  | { readonly kind: 'function'; readonly name: TemplateFunctionName }
  | { readonly kind: 'pipe'; readonly pipe: Pipe; readonly path: readonly string[] };
export type Pipe = {
  /** `$a, $b :=` before it; `isNew` is false for `=`. */
  readonly names: readonly string[];
  readonly isNew: boolean;
  readonly commands: readonly (readonly Operand[])[];
};
export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipe: Pipe }
  | { readonly kind: 'break' | 'continue' }
  | { readonly kind: 'if' | 'range' | 'with'; readonly pipe: Pipe; readonly body: readonly Node[]; readonly otherwise: readonly Node[] };

type Piece = { readonly kind: 'text' | 'action'; readonly text: string; readonly line: number };
/** What is left to read, how many lines are behind, how deep in `range` it is, and the variables that can be named. */
type Reading = { readonly pieces: Piece[]; readonly loops: number; readonly names: ReadonlySet<string> };

/** Throws `cli/bad-template` in the words of Go. */
export function parseTemplate(source: string): readonly Node[] {
  const reading = { pieces: splitPieces(source), loops: 0, names: new Set(['$']) };
  const nodes = parseNodes(reading);
  const left = reading.pieces[0];
  if (left !== undefined) throw bad(left.line, `unexpected {{${left.text}}}`);
  return nodes;
}

function splitPieces(source: string): Piece[] {
  const pieces: Piece[] = [];
  let [trimNext, rest, line] = [false, source, 1];
  for (;;) {
    const open = rest.indexOf('{{');
    const action = open < 0 ? null : actionAt(rest.slice(open));
    if (open >= 0 && !action) throw bad(line, 'unclosed action');
    let text = open < 0 ? rest : rest.slice(0, open);
    line += text.split('\n').length - 1;
    if (trimNext) text = text.trimStart();
    if (action?.[1] !== undefined) text = text.trimEnd();
    if (text !== '') pieces.push({ kind: 'text', text, line });
    if (!action) return pieces;
    pieces.push({ kind: 'action', text: (action[2] ?? '').trim(), line });
    line += action[0].split('\n').length - 1;
    trimNext = action[3] !== undefined;
    rest = rest.slice(open + action[0].length);
  }
}

/** `{{`, a trim marker, the action, a trim marker, `}}`. Strings and comments may hold braces. */
function actionAt(text: string): RegExpExecArray | null {
  return (
    /^\{\{(-\s)?\s*(\/\*[^]*?\*\/)\s*?(\s-)?\}\}/u.exec(text) ??
    /^\{\{(-\s)?((?:"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)+'|[^"`'}]|\}(?!\}))*?)(\s-)?\}\}/u.exec(text)
  );
}

/** Nodes up to an `end` or `else` of the block around, which is left in place. */
function parseNodes(reading: Reading): readonly Node[] {
  const nodes: Node[] = [];
  const names = new Set(reading.names);
  const inner = { ...reading, names };
  for (let piece = reading.pieces[0]; piece !== undefined; piece = reading.pieces[0]) {
    if (piece.kind === 'action' && /^(?:end|else(?:\s.*)?)$/su.test(piece.text)) return nodes;
    reading.pieces.shift();
    if (piece.kind === 'text') nodes.push({ kind: 'text', text: piece.text });
    else if (!piece.text.startsWith('/*')) nodes.push(parseAction(piece, inner, names));
  }
  return nodes;
}

function parseAction(piece: Piece, reading: Reading, names: Set<string>): Node {
  const { text, line } = piece;
  if (text === 'break' || text === 'continue') {
    if (reading.loops > 0) return { kind: text };
    throw bad(line, `{{${text}}} outside {{range}}`);
  }
  const block = /^(if|range|with)\b\s*(.*)$/su.exec(text);
  if (block) return parseBlock(block[1] as 'if' | 'range' | 'with', { ...piece, text: block[2] ?? '' }, reading);
  if (/^(?:define|template|block)\b/u.test(text)) throw bad(line, `{{${text.split(/\s/u)[0]}}} is not built`);
  const pipe = parsePipe(text, line, names, 1);
  for (const name of pipe.names) names.add(name);
  return { kind: 'print', pipe };
}

function parseBlock(kind: 'if' | 'range' | 'with', { text, line }: Piece, reading: Reading): Node {
  const pipe = parsePipe(text, line, reading.names, kind === 'range' ? 2 : 1);
  const names = new Set([...reading.names, ...pipe.names]);
  const body = parseNodes({ ...reading, names, loops: reading.loops + (kind === 'range' ? 1 : 0) });
  const next = reading.pieces.shift();
  if (next === undefined) throw bad(line, 'unexpected EOF');
  if (next.text === 'end') return { kind, pipe, body, otherwise: [] };
  const chained = /^else\s+(if|with)\b\s*(.*)$/su.exec(next.text);
  if (chained) {
    const nested = parseBlock(chained[1] as 'if' | 'with', { ...next, text: chained[2] ?? '' }, { ...reading, names });
    return { kind, pipe, body, otherwise: [nested] };
  }
  const otherwise = parseNodes({ ...reading, names });
  const end = reading.pieces.shift();
  if (end === undefined) throw bad(line, 'unexpected EOF');
  if (end.text !== 'end') throw bad(end.line, `expected end; found {{${end.text}}}`);
  return { kind, pipe, body, otherwise };
}

const tokenPattern = /"(?:[^"\\]|\\.)*"|`[^`]*`|'(?:[^'\\]|\\.)+'|:=|[=,(|]|\)(?:\.\w+)*|[^\s()|"`',=:]+|./gu;

function parsePipe(text: string, line: number, names: ReadonlySet<string>, mostNames: number): Pipe {
  const tokens = [...text.matchAll(tokenPattern)].map((match) => match[0]).filter((token) => token.trim() !== '');
  const declared = readNames(tokens, mostNames);
  if (declared !== undefined && !declared.isNew) for (const name of declared.names) checkKnown(name, names, line);
  const commands = readCommands(tokens, line, names);
  if (tokens.length > 0) throw bad(line, `unexpected "${tokens[0] ?? ''}" in command`);
  return { ...(declared ?? { names: [], isNew: false }), commands };
}

/** Takes `$x :=`, `$x =` or `$i, $x :=` from the front; nothing when the tokens begin otherwise. */
function readNames(tokens: string[], most: number): Pick<Pipe, 'names' | 'isNew'> | undefined {
  const sign = tokens.findIndex((token) => token === ':=' || token === '=');
  const before = tokens.slice(0, Math.max(0, sign));
  const names = before.filter((_, index) => index % 2 === 0);
  const isList = before.every((token, index) => (index % 2 === 0 ? /^\$\w+$/u.test(token) : token === ','));
  if (sign < 1 || before.length % 2 === 0 || names.length > most || !isList) return undefined;
  const isNew = tokens[sign] === ':=';
  tokens.splice(0, sign + 1);
  return { names, isNew };
}

function readCommands(tokens: string[], line: number, names: ReadonlySet<string>): Pipe['commands'] {
  const commands: Operand[][] = [[]];
  for (let token = tokens[0]; token !== undefined && !token.startsWith(')'); token = tokens[0]) {
    tokens.shift();
    if (token === '|') commands.push([]);
    else commands.at(-1)?.push(token === '(' ? readGroup(tokens, line, names) : readOperand(token, line, names));
  }
  if (commands.some((command) => command.length === 0)) throw bad(line, 'missing value for command');
  return commands;
}

function readGroup(tokens: string[], line: number, names: ReadonlySet<string>): Operand {
  const commands = readCommands(tokens, line, names);
  const close = tokens.shift();
  if (close === undefined) throw bad(line, 'unclosed left paren');
  return { kind: 'pipe', pipe: { names: [], isNew: false, commands }, path: pathOf(close.slice(1)) };
}

function readOperand(token: string, line: number, names: ReadonlySet<string>): Operand {
  if (token.startsWith('`')) return { kind: 'literal', value: token.slice(1, -1) };
  if (token.startsWith('"')) return { kind: 'literal', value: readText(token, line) };
  if (token.startsWith("'")) return { kind: 'literal', value: readCharacter(token, line) };
  if (/^\.(?:\w+(?:\.\w+)*)?$/u.test(token)) return { kind: 'field', path: pathOf(token) };
  if (/^\$\w*(?:\.\w+)*$/u.test(token)) {
    const [name = '', ...path] = token.split('.');
    checkKnown(name, names, line);
    return { kind: 'variable', name, path };
  }
  if (/^[+-]?(?:\d[\d_]*(?:\.\d*)?(?:e[+-]?\d+)?|0x[\da-f]+)$/iu.test(token))
    return { kind: 'literal', value: Number(token.replaceAll('_', '')) };
  if (token === 'true' || token === 'false') return { kind: 'literal', value: token === 'true' };
  if (token === 'nil') return { kind: 'literal', value: null };
  if (isFunction(token)) return { kind: 'function', name: token };
  throw bad(line, /^\w+$/u.test(token) ? `function "${token}" not defined` : `unexpected "${token}" in operand`);
}

function checkKnown(name: string, names: ReadonlySet<string>, line: number): void {
  if (!names.has(name)) throw bad(line, `undefined variable "${name}"`);
}

function pathOf(text: string): readonly string[] {
  return text.split('.').filter((name) => name !== '');
}

function readText(token: string, line: number): string {
  try {
    return String(JSON.parse(token.replaceAll(/\\(?:x([\da-fA-F]{2})|([av0'])|.)/gu, (escape, hex, name) => unescape(escape, hex, name))));
  } catch {
    throw bad(line, `invalid syntax: ${token}`);
  }
}

/** Escapes that Go has and JSON has not. */
function unescape(escape: string, hex: string | undefined, name: string | undefined): string {
  if (hex !== undefined) return `\\u00${hex}`;
  return name === undefined ? escape : ({ a: '\\u0007', v: '\\u000b', '0': '\\u0000' }[name] ?? name);
}

/** A character constant is a number in Go. */
function readCharacter(token: string, line: number): number {
  const inside = token.slice(1, -1);
  const text = readText(`"${inside === '"' ? '\\"' : inside}"`, line);
  if (Array.from(text).length !== 1) throw bad(line, `malformed character constant: ${token}`);
  return text.codePointAt(0) ?? 0;
}

function bad(line: number, why: string): JettisonError {
  return new JettisonError('cli/bad-template', `template parsing error: template: :${line}: ${why}`);
}
