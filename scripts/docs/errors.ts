/** docs/errors.md: every error code that the sources make, with the messages and hints that go with it. */
import { rooms } from '../house.ts';
import { functionAround, isNode, memberOf, nameOf, nodes, readSources, walk, type Node, type SourceFile } from './syntax.ts';

/** One place that makes an error. */
type Made = {
  readonly code: string;
  /** With `{name}` where a value goes. */
  readonly message: string;
  readonly hint: string | undefined;
  readonly fault: string;
  /** The room whose code makes it, also where another room calls that code. */
  readonly room: string;
  readonly file: string;
  readonly line: number;
};
type Known = ReadonlyMap<string, Node>;
/** A function that makes an error and takes a part of its code or the whole message. */
type Maker = {
  readonly name: string;
  readonly made: Node;
  readonly parameters: readonly Node[];
  readonly source: SourceFile;
  readonly exported: boolean;
};

const codeGrammar = /^[a-z]+\/[a-z0-9]+(?:-[a-z0-9]+)*$/u;

export type ErrorPage = { readonly text: string; readonly faults: readonly string[] };

export function makeErrorPage(): ErrorPage {
  const sources = readSources();
  const makers: Maker[] = [];
  const made = sources.flatMap((source) => [...directly(source, makers), ...inObjects(source)]);
  for (const maker of makers) made.push(...sources.flatMap((source) => throughMaker(maker, source)));
  return { text: print(made), faults: [...checkCodes(made), ...checkQuestions(sources, made)] };
}

/** `new JettisonError(...)`: those whose code or message is a parameter become makers. */
function directly(source: SourceFile, makers: Maker[]): readonly Made[] {
  const found: Made[] = [];
  walk(source.tree, (node, around) => {
    if (node.type !== 'NewExpression' || nameOf(node['callee']) !== 'JettisonError') return;
    const scope = functionAround(around);
    const names = new Set(scope?.parameters.map(parameterName));
    const [code, message] = nodes(node['arguments']);
    const isOpen = [...placeholders(code), ...(message?.type === 'Identifier' ? placeholders(message) : [])].some((name) =>
      names.has(name),
    );
    if (isOpen && scope?.name !== undefined) makers.push({ ...scope, name: scope.name, made: node, source });
    else found.push(...madeBy(node, constantsBefore(source, node), { room: source.room, file: source.file, line: lineOf(source, node) }));
  });
  return found;
}

/** Calls of a maker, with what they put in. */
function throughMaker(maker: Maker, source: SourceFile): readonly Made[] {
  if (!canCall(maker, source)) return [];
  const found: Made[] = [];
  walk(source.tree, (node) => {
    if (node.type !== 'CallExpression' || nameOf(node['callee']) !== maker.name) return;
    const constants = constantsBefore(source, node);
    const given = nodes(node['arguments']);
    const known = new Map<string, Node>();
    for (const [index, parameter] of maker.parameters.entries()) {
      const value = given[index];
      if (value)
        known.set(parameterName(parameter), (value.type === 'Identifier' ? constants.get(nameOf(value) ?? '') : undefined) ?? value);
    }
    found.push(...madeBy(maker.made, known, { room: maker.source.room, file: source.file, line: lineOf(source, node) }));
  });
  return found;
}

function canCall(maker: Maker, source: SourceFile): boolean {
  if (source.file === maker.source.file) return true;
  if (!maker.exported || !source.text.includes(maker.name)) return false;
  return source.room === maker.source.room || source.text.includes(`#${maker.source.file.slice('src/'.length)}`);
}

/** What the names of a file stand for above a place in it: the nearest declaration counts. */
function constantsBefore(source: SourceFile, place: Node): Known {
  const constants = new Map<string, Node>();
  walk(source.tree, (node) => {
    if (node.type !== 'VariableDeclarator' || node.end > place.start || !isNode(node['init'])) return;
    if (/^(?:Literal|TemplateLiteral|ConditionalExpression|ObjectExpression)$/u.test(node['init'].type))
      constants.set(nameOf(node['id']) ?? '', node['init']);
  });
  return constants;
}

/** Documents to be decoded (`{what, code, limit}`), and errors as they cross to another thread (`{code, message, fault, hint}`). */
function inObjects(source: SourceFile): readonly Made[] {
  const found: Made[] = [];
  walk(source.tree, (node) => {
    const code = memberOf(node, 'code');
    if (code?.type !== 'Literal' || !codeGrammar.test(String(code['value']))) return;
    const what = memberOf(node, 'what');
    const message = what
      ? `Cannot read ${textsOf(what, new Map())[0] ?? ''}: {why}`
      : (textsOf(memberOf(node, 'message'), new Map())[0] ?? '');
    const fault = what ? 'environment' : literalOf(memberOf(node, 'fault'), 'user');
    const hint = what ? undefined : textsOf(memberOf(node, 'hint'), new Map())[0];
    found.push({
      code: String(code['value']),
      message,
      hint: shownHint(hint),
      fault,
      room: source.room,
      file: source.file,
      line: lineOf(source, node),
    });
  });
  return found;
}

function madeBy(node: Node, known: Known, place: Pick<Made, 'room' | 'file' | 'line'>): readonly Made[] {
  const [code, message, own] = nodes(node['arguments']);
  const given = known.get('details');
  const detail = (name: string): Node | undefined =>
    memberOf(given, name) ?? spreadMember(given, name, known) ?? memberOf(own, name) ?? spreadMember(own, name, known);
  const hint = shownHint(textsOf(detail('hint'), known)[0]);
  const fault = literalOf(detail('fault'), 'user');
  return textsOf(code, known)
    .filter((one) => !one.includes('{'))
    .map((one) => ({ code: one, message: textsOf(message, known)[0] ?? '', hint, fault, ...place }));
}

/** A hint that is nothing but a value says nothing here. */
function shownHint(hint: string | undefined): string | undefined {
  return hint === undefined || /^\{[^{}]*\}$/u.test(hint) ? undefined : hint;
}

/** `...(hint === undefined ? {} : { hint })` and its kind. */
function spreadMember(object: unknown, name: string, known: Known): Node | undefined {
  if (!isNode(object) || object.type !== 'ObjectExpression') return undefined;
  for (const spread of nodes(object['properties']).filter((one) => one.type === 'SpreadElement')) {
    const named = known.get(nameOf(spread['argument']) ?? '');
    const found: Node[] = [];
    walk(named ?? spread, (node) => {
      const member = memberOf(node, name);
      if (member) found.push(member);
    });
    if (found[0]) return found[0];
  }
  return undefined;
}

/** What a text expression can be; `{name}` for what is only known when it runs. */
function textsOf(node: Node | undefined, known: Known): readonly string[] {
  if (!node) return [];
  if (node.type === 'Literal') return [String(node['value'])];
  if (node.type === 'ConditionalExpression')
    return [node['consequent'], node['alternate']].filter(isNode).flatMap((one) => textsOf(one, known));
  if (node.type === 'TemplateLiteral') {
    const values = nodes(node['expressions']).map((one) => textsOf(one, known));
    const pieces = nodes(node['quasis']).map((quasi) => (quasi['value'] as { readonly cooked: string }).cooked);
    const variants = Math.max(1, ...values.map((texts) => texts.length));
    return Array.from({ length: variants }, (_, variant) =>
      pieces.map((piece, at) => piece + (values[at] ? variantOf(values[at], variant) : '')).join(''),
    );
  }
  const name = nameOf(node);
  const value = name === undefined ? undefined : known.get(name);
  if (value && value !== node) return textsOf(value, new Map());
  return [`{${name ?? innerName(node)}}`];
}

function variantOf(texts: readonly string[], variant: number): string {
  return texts[Math.min(variant, texts.length - 1)] ?? '';
}

/** A word for an expression in the middle of a message. */
function innerName(node: Node): string {
  const callee = nameOf(node['callee']);
  if (callee === 'String' || callee === 'toText' || callee === 'printReference' || callee === 'printPlatform')
    return nodes(node['arguments']).map((one) => nameOf(one) ?? innerName(one))[0] ?? '...';
  if (callee === 'messageOf' || callee === 'systemCode') return 'why';
  if (isNode(node['callee']) && node['callee'].type === 'MemberExpression') {
    const object = node['callee']['object'];
    return nameOf(object) ?? (isNode(object) ? innerName(object) : '...');
  }
  if (isNode(node['left'])) return nameOf(node['left']) ?? innerName(node['left']);
  if (isNode(node['expression'])) return nameOf(node['expression']) ?? innerName(node['expression']);
  return callee?.replace(/Of$/u, '') ?? '...';
}

function placeholders(node: Node | undefined): readonly string[] {
  return textsOf(node, new Map()).flatMap((text) => [...text.matchAll(/\{([^{}]+)\}/gu)].map((match) => match[1] ?? ''));
}

function parameterName(parameter: Node): string {
  return nameOf(parameter) ?? nameOf(parameter['left']) ?? '';
}

function literalOf(node: Node | undefined, otherwise: string): string {
  return node?.type === 'Literal' ? String(node['value']) : otherwise;
}

function lineOf({ text }: SourceFile, node: Node): number {
  return text.slice(0, node.start).split('\n').length;
}

/** The part in front of the slash is a room, and the code is made in that room only. */
function checkCodes(made: readonly Made[]): readonly string[] {
  const faults: string[] = [];
  for (const { code, room: maker, file, line } of made) {
    const room = code.split('/')[0] ?? '';
    const at = `${file}:${line}: the error code "${code}"`;
    if (!codeGrammar.test(code)) faults.push(`${at} is not of the form room/kebab-case`);
    else if (!Object.hasOwn(rooms, room)) faults.push(`${at} names no room`);
    else if (room !== maker)
      faults.push(`${at} is room "${room}"'s: call a function of it that makes the error, or make a code of "${maker}"`);
  }
  return faults;
}

/** A code that somebody asks for is made somewhere. */
function checkQuestions(sources: readonly SourceFile[], made: readonly Made[]): readonly string[] {
  const codes = new Set(made.map(({ code }) => code));
  const faults: string[] = [];
  for (const source of sources) {
    walk(source.tree, (node) => {
      if (node.type !== 'CallExpression' || nameOf(node['callee']) !== 'isCode') return;
      const asked = nodes(node['arguments'])[1];
      if (asked?.type !== 'Literal' || codes.has(String(asked['value']))) return;
      faults.push(`${source.file}:${lineOf(source, node)}: nothing makes the error code "${String(asked['value'])}"`);
    });
  }
  return faults;
}

const introduction = `# Error codes

<!-- Made by \`npm run docs\` from src/: do not edit. -->

Every error of jettison has a code. Codes stay the same, messages may get better. The part in front of the slash is the room of the sources that makes the
error (see [architecture](architecture.md)). \`{...}\` stands for a value; what stands behind an arrow is the hint.

Who has to act: **user** (what was typed or written), **environment** (this machine, a registry, the network), **limit** (nobody, unless the limit that somebody set is meant: exit code 4), **bug** (jettison itself: exit code 70 and a stack).
`;

function print(made: readonly Made[]): string {
  const sections = Object.keys(rooms).flatMap((room) => {
    const own = made.filter(({ code }) => code.startsWith(`${room}/`));
    if (own.length === 0) return [];
    const codes = [...new Set(own.map(({ code }) => code))].toSorted();
    return [
      `## ${room}\n`,
      ...codes.map((code) =>
        printCode(
          code,
          own.filter((one) => one.code === code),
        ),
      ),
    ];
  });
  return `${introduction}\n${sections.join('\n')}`;
}

function printCode(code: string, made: readonly Made[]): string {
  const told = made.filter(({ message }) => message !== '' && message !== '{message}');
  const hints = new Set(told.map(({ hint }) => hint));
  const [only] = hints.size === 1 && told.length > 1 ? hints : [];
  const lines = new Set(told.map(({ message, hint }) => `- ${quote(message)}${only === undefined ? arrow(hint) : ''}`));
  const faults = [...new Set(made.map(({ fault }) => fault))].toSorted().join(', ');
  return `### ${code}\n\n*${faults}*${arrow(only)}\n${lines.size === 0 ? '' : `\n${[...lines].toSorted().join('\n')}\n`}`;
}

function arrow(hint: string | undefined): string {
  return hint === undefined ? '' : ` → ${quote(hint)}`;
}

/** As code where it can be, so that nothing in it is markup. */
function quote(text: string): string {
  const line = text.replaceAll(/\s+/gu, ' ').trim();
  return line.includes('`') ? `\`\` ${line} \`\`` : `\`${line}\``;
}
