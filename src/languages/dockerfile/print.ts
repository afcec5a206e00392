/**
 * The syntax tree back to text, in one form: an instruction a line, words parted by one space, an empty line between stages. What is
 * parsed from that text is the same tree but for places and `source`. Words are printed as they are written in the tree.
 */
import { unreachable } from '#ground/base/errors.ts';
import { isSpace } from '#languages/frontend/spaces.ts';
import type { EscapeCharacter } from '#languages/frontend/words.ts';
import type { Command, Comment, CopySource, Dockerfile, Flag, Instruction, Pair, Word } from './ast.ts';
import { heredocsOf } from './syntax/heredoc.ts';
import { readJsonForm } from './syntax/json-form.ts';
import { lineOf, parseDirective } from './syntax/lines.ts';
import { splitPlain } from './syntax/scan.ts';

/**
 * Takes a tree without faults (what could not be parsed is not in it). Comments stand where they stood: above their instruction,
 * inside it behind its name, or by themselves. Flags are printed from `flags`, ONBUILD from `expression`. Never throws.
 */
export function printDockerfile(dockerfile: Dockerfile): string {
  const { directives, escape, globalArguments, stages, comments } = dockerfile;
  const out = directives.map(({ name, value }) => `# ${name}=${value}\n`);
  const placed = placeComments(comments, [...globalArguments, ...stages.flatMap(({ from, instructions }) => [from, ...instructions])]);
  const [first] = comments;
  if (out.length > 0 || (first && parseDirective(`#${first.text}`))) out.push('\n');
  for (const { instruction, apart, inside } of placed.instructions) {
    if (apart.length > 0) out.push(`${printComments(apart)}\n`);
    else if (instruction.kind === 'from' && instruction !== placed.instructions[0]?.instruction) out.push('\n');
    out.push(printAbove(instruction), printInstruction(instruction, inside, escape));
  }
  if (placed.rest.length > 0) out.push('\n', printComments(placed.rest));
  return out.join('');
}

type PlacedInstruction = {
  readonly instruction: Instruction;
  /** Comments before it that are not its own. */
  readonly apart: readonly Comment[];
  readonly inside: readonly Comment[];
};

/** Gives each instruction the comments between it and the one before, and those in it; `rest` stands at the end of the file. */
function placeComments(comments: readonly Comment[], instructions: readonly Instruction[]) {
  let next = 0;
  const takeUntil = (offset: number): readonly Comment[] => {
    const from = next;
    while (next < comments.length && (comments[next]?.span.start.offset ?? 0) < offset) next++;
    return comments.slice(from, next);
  };
  const placed = instructions.map((instruction): PlacedInstruction => {
    const own = new Set(instruction.comments);
    const before = takeUntil(instruction.span.start.offset);
    // Behind its own comments, or behind the empty one that ends what could have been its own: its line began with nothing but a continuation.
    const inside = before.slice(before.findLastIndex((comment) => own.has(comment) || comment.text === '') + 1);
    const apart = before.slice(0, before.length - inside.length).filter((comment) => !own.has(comment));
    return { instruction, apart, inside: [...inside, ...takeUntil(instruction.span.end.offset)] };
  });
  return { instructions: placed, rest: comments.slice(next) };
}

/** Its own comments, an empty line where there are some. */
function printAbove({ comments, span }: Instruction): string {
  const lines = [...comments.slice(1).map((comment) => comment.span.start.line), span.start.line];
  return comments
    .map((comment, index) => `${printComments([comment])}${(lines[index] ?? 0) > comment.span.start.line + 1 ? '\n' : ''}`)
    .join('');
}

function printComments(comments: readonly Comment[]): string {
  return comments.map(({ text }) => (text === '' ? '#\n' : `# ${text}\n`)).join('');
}

function printInstruction(instruction: Instruction, inside: readonly Comment[], escape: EscapeCharacter): string {
  const { keyword, heredocs, emptyContinuation } = instruction;
  const [rest = '', bodies] = instruction.kind === 'onbuild' ? cutBodies(instruction.expression) : [printRest(instruction)];
  const isBroken = inside.length > 0 || emptyContinuation !== undefined;
  const lineBreak = isBroken ? `${escape}\n${printComments(inside)}${emptyContinuation ? '\n' : ''}` : '';
  // A line that begins with "#" would be a comment: then the name itself is broken.
  const head = rest.startsWith('#') ? `${keyword.text.slice(0, 1)}${lineBreak}${keyword.text.slice(1)} ` : `${keyword.text} ${lineBreak}`;
  return `${endLine(head + rest, escape)}\n${bodies ?? heredocs.map(({ content, name }) => `${content}${name}\n`).join('')}`;
}

/** The first line of a trigger, and its here-documents. */
function cutBodies(expression: string): readonly [string, string] {
  const end = expression.indexOf('\n');
  return end < 0 ? [expression, ''] : [expression.slice(0, end), `${expression.slice(end + 1)}\n`];
}

/** What stands behind the instruction's name in its line. */
function printRest(instruction: Exclude<Instruction, { readonly kind: 'onbuild' }>): string {
  const words = printArguments(instruction);
  const print = (special: string): string => {
    const flags = instruction.flags.map((flag) => `${printFlag(flag, special)} `).join('');
    return `${flags}${words.startsWith('--') ? '-- ' : ''}${words}`;
  };
  const plain = print('"\'\\');
  // A "$" in a flag can hide the here-documents behind it.
  const hides =
    instruction.heredocs.length > 0 && heredocsOf(`${instruction.keyword.text} ${plain}`).length !== instruction.heredocs.length;
  return hides ? print('"\'\\$') : plain;
}

/** A line that ends with one escape character would go on in the next one; a form feed behind it is white space that no continuation may have. */
function endLine(line: string, escape: EscapeCharacter): string {
  const end = line.replace(/[ \t]+$/u, '');
  return end.endsWith(escape) && !end.endsWith(escape + escape) ? `${end}\f` : end;
}

function printArguments(instruction: Exclude<Instruction, { readonly kind: 'onbuild' }>): string {
  switch (instruction.kind) {
    case 'from': {
      const { image, alias } = instruction;
      return alias ? `${image.text} ${alias.keyword.text} ${alias.name.text}` : image.text;
    }
    case 'arg':
      return instruction.arguments.map(({ name, value }) => (value ? `${name.text}=${value.text}` : name.text)).join(' ');
    case 'env':
    case 'label':
      return instruction.pairs.map(printPair).join(' ');
    case 'run':
    case 'cmd':
    case 'entrypoint':
      return printCommand(instruction.command);
    case 'healthcheck':
      return instruction.command ? `CMD ${printCommand(instruction.command)}` : 'NONE';
    case 'copy':
    case 'add':
      return printList([...instruction.sources.map(sourceWord), instruction.destination], instruction.heredocs.length > 0);
    case 'volume':
      return printList(instruction.paths, false);
    case 'shell':
      return printJson(instruction.arguments);
    case 'expose':
      return instruction.ports.map(({ text }) => text).join(' ');
    case 'workdir':
      return instruction.path.text;
    case 'user':
      return instruction.user.text;
    case 'stopsignal':
      return instruction.signal.text;
    case 'maintainer':
      return instruction.name.text;
    default:
      return unreachable(instruction, 'instruction');
  }
}

function printPair({ name, value, legacy }: Pair): string {
  // Behind an escape character the first blank is no separator.
  return `${name.text}${legacy ? (/[\\`]$/u.test(name.text) ? '  ' : ' ') : '='}${value.text}`;
}

function printCommand(command: Command): string {
  return command.form === 'exec' ? printJson(command.arguments) : command.text.text;
}

function sourceWord(source: CopySource): Word {
  return source.kind === 'heredoc' ? source.word : source.path;
}

function printJson(words: readonly Word[]): string {
  return `[${words.map(({ text }) => JSON.stringify(text)).join(', ')}]`;
}

/** Plain words where that reads back as the same words, else the JSON form (which cannot hold half a surrogate pair). */
function printList(words: readonly Word[], hasHeredocs: boolean): string {
  const plain = words.map(({ text }) => text).join(' ');
  if (hasHeredocs) return plain;
  const readsBack =
    heredocsOf(`COPY ${plain}`).length === 0 &&
    !plain.includes('\n') &&
    !(/[\\`]$/u.test(plain) && plain.isWellFormed()) &&
    plain.trim() === plain &&
    sameWords(plain, words);
  return readsBack ? plain : printJson(words);
}

function sameWords(plain: string, words: readonly Word[]): boolean {
  const stretch = { line: lineOf(plain), start: 0, end: plain.length };
  if (readJsonForm(stretch).kind !== 'plain') return false;
  const read = splitPlain(stretch);
  return read.length === words.length && read.every(({ text }, index) => text === words[index]?.text);
}

/** Quotes and backslashes in a flag are resolved when it is read; what they kept together is escaped. */
function printFlag({ name, value }: Flag, special: string): string {
  const text = value === undefined ? name : `${name}=${value}`;
  return `--${Array.from(text, (character) => (isSpace(character) || special.includes(character) ? `\\${character}` : character)).join('')}`;
}
