/**
 * A Markdown text as the steps of a tutorial. Blocks of a shell are commands: in `console` ones, and wherever lines begin with `$ `, those lines, with what they print below;
 * in others all of it. A block without a language, or of `text` or `output`, behind a command is what that command shows. A block that has a file's name
 * (`title=`, `file=`, `filename=`, `name=`, or a name in backticks in the sentence before it that ends with a colon) is that file; a Dockerfile needs none.
 * What the text cannot say stands in a comment before the block: `<!-- replay: skip -->`, `file=NAME`, `exit=N`, `exit=any`, `excerpt`, `tty`, `command`, `output`.
 */
import { JettisonError } from '#ground/base/errors.ts';
import type { Span } from '#ground/base/span.ts';
import { readMarkdown, type MarkdownBlock } from './markdown.ts';
import { readScript, type Typed } from './typed.ts';
import type { Expectation, Lines, Tutorial, TutorialStep } from './tutorial.ts';

const shells: ReadonlySet<string> = new Set([
  'sh',
  'bash',
  'shell',
  'zsh',
  'console',
  'shell-session',
  'shellsession',
  'terminal',
  'sh-session',
]);
const sessions: ReadonlySet<string> = new Set(['console', 'shell-session', 'shellsession', 'terminal', 'sh-session']);
const outputs: ReadonlySet<string> = new Set(['', 'text', 'txt', 'output', 'plain', 'plaintext', 'log', 'none']);
const knownNames: ReadonlyMap<string, string> = new Map([
  ['dockerfile', 'Dockerfile'],
  ['docker', 'Dockerfile'],
  ['makefile', 'Makefile'],
  ['make', 'Makefile'],
  ['earthfile', 'Earthfile'],
]);

type Directives = {
  readonly isSkipped: boolean;
  readonly role: 'command' | 'output' | undefined;
  readonly file: string | undefined;
  readonly expects: Expectation;
};

const usual: Expectation = { exit: 0, isExcerpt: false, wantsTerminal: false };

/** Throws `tutorial/bad-directive` and `tutorial/bad-path`, with the place; `file` is the text's name in them. */
export function readTutorial(text: string, file: string): Tutorial {
  const steps: TutorialStep[] = [];
  const ignored: number[] = [];
  let mayShow = false;
  for (const block of readMarkdown(text)) {
    const directives = readDirectives(block, file);
    const kind = kindOf(block, directives, mayShow);
    if (kind === 'file') steps.push(fileStep(block, directives, file));
    else if (kind === 'command') steps.push(...commandSteps(block, directives));
    else if (kind === 'output') attach(steps, block, directives);
    else ignored.push(block.fence);
    mayShow = kind === 'command' && !hasOutput(steps.at(-1));
  }
  return { steps, ignored };
}

function kindOf(block: MarkdownBlock, { isSkipped, role, file }: Directives, mayShow: boolean): 'file' | 'command' | 'output' | 'ignored' {
  if (isSkipped) return 'ignored';
  if (role !== undefined) return role === 'output' && !mayShow ? 'ignored' : role;
  if (file !== undefined || nameOf(block) !== undefined) return 'file';
  if (shells.has(block.language)) return 'command';
  if (outputs.has(block.language)) {
    if (block.lines.some((line) => /^\$ \S/u.test(line))) return 'command';
    return mayShow ? 'output' : 'ignored';
  }
  return 'ignored';
}

function fileStep(block: MarkdownBlock, { file }: Directives, source: string): TutorialStep {
  const path = file ?? nameOf(block) ?? '';
  const parts = path.split('/');
  if (path.startsWith('/') || path === '' || parts.includes('..') || path.includes('\0')) {
    throw new JettisonError('tutorial/bad-path', `The file "${path}" does not lie in the tutorial's folder`, {
      at: [placeOf(source, block.fence)],
      hint: 'Name a file without a leading "/" and without ".."',
    });
  }
  return { kind: 'file', path, text: block.lines.map((line) => `${line}\n`).join(''), at: { from: block.fence + 1, to: block.end - 1 } };
}

function commandSteps(block: MarkdownBlock, { expects }: Directives): readonly TutorialStep[] {
  const isSession = sessions.has(block.language) || block.lines.some((line) => line.startsWith('$ '));
  return readScript(block.lines, isSession).map((typed) => commandStep(typed, block, expects));
}

function commandStep({ script, from, to, output }: Typed, block: MarkdownBlock, expects: Expectation): TutorialStep {
  const lineAt = (index: number): number => block.fence + 1 + index;
  const at: Lines = { from: lineAt(from), to: lineAt(to - 1) };
  const shown =
    output.length === 0
      ? undefined
      : { lines: output, at: { from: lineAt(to), to: lineAt(to + output.length - 1) }, indentation: block.indentation };
  return { kind: 'command', script, shown, expects, at };
}

/** What a block of its own shows belongs to the command before it. */
function attach(steps: TutorialStep[], block: MarkdownBlock, { expects }: Directives): void {
  const last = steps.pop();
  if (last?.kind !== 'command') return;
  const shown = { lines: block.lines, at: { from: block.fence + 1, to: block.end - 1 }, indentation: block.indentation };
  steps.push({ ...last, shown, expects: { ...last.expects, isExcerpt: last.expects.isExcerpt || expects.isExcerpt } });
}

function hasOutput(step: TutorialStep | undefined): boolean {
  return step?.kind === 'command' && step.shown !== undefined;
}

function nameOf(block: MarkdownBlock): string | undefined {
  const given = /(?:^|[\s{,])(?:title|file|filename|name)=(?:"(?<double>[^"]+)"|'(?<single>[^']+)'|(?<bare>[^\s}",']+))/u.exec(
    block.info,
  )?.groups;
  const name = given?.['double'] ?? given?.['single'] ?? given?.['bare'] ?? namedBefore(block);
  return name ?? knownNames.get(block.language);
}

/** "Write `src/app.go`:" */
function namedBefore({ paragraph, language }: MarkdownBlock): string | undefined {
  if (outputs.has(language) || sessions.has(language)) return undefined;
  const sentence = /(?:^|[.!?] )(?<last>(?:[^.!?]|[.!?](?! ))*):\**$/u.exec(paragraph)?.groups?.['last'] ?? '';
  const names = [...sentence.matchAll(/`(?<name>[\w./-]+)`/gu)].map(({ groups }) => groups?.['name'] ?? '');
  return names.findLast((name) => isFile(name, language));
}

function isFile(name: string, language: string): boolean {
  const base = name.slice(name.lastIndexOf('/') + 1);
  const looksLikeFile = /.\.[A-Za-z]\w*$/u.test(base) || /^(?:Dockerfile|Containerfile|Makefile|Earthfile|\.dockerignore)/u.test(base);
  // In a block of a shell a name is more often what the command is about than what is written.
  return looksLikeFile && (!shells.has(language) || /\.sh$/iu.test(base));
}

function readDirectives({ comments, fence }: MarkdownBlock, source: string): Directives {
  let found: Directives = { isSkipped: false, role: undefined, file: undefined, expects: usual };
  for (const comment of comments) {
    const words = /^replay:(?<words>.*)$/u.exec(comment)?.groups?.['words'];
    for (const word of (words ?? '').split(/[\s,]+/u)) if (word !== '') found = withDirective(found, word, placeOf(source, fence));
  }
  return found;
}

function withDirective(before: Directives, word: string, at: Span): Directives {
  const { expects } = before;
  const [name, value] = word.includes('=') ? [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)] : [word, undefined];
  if (word === 'skip') return { ...before, isSkipped: true };
  if (word === 'command' || word === 'output') return { ...before, role: word };
  if (word === 'excerpt') return { ...before, expects: { ...expects, isExcerpt: true } };
  if (word === 'tty') return { ...before, expects: { ...expects, wantsTerminal: true } };
  if (name === 'file' && value !== undefined && value !== '') return { ...before, file: value };
  if (word === 'exit=any') return { ...before, expects: { ...expects, exit: undefined } };
  if (name === 'exit' && value !== undefined && /^\d{1,3}$/u.test(value))
    return { ...before, expects: { ...expects, exit: Number(value) } };
  throw new JettisonError('tutorial/bad-directive', `Unknown word in a "replay:" comment: "${word}"`, {
    at: [at],
    hint: 'There are skip, command, output, excerpt, tty, file=NAME, exit=NUMBER and exit=any',
  });
}

function placeOf(file: string, line: number): Span {
  return { file, start: { line, column: 1 }, end: { line: line + 1, column: 1 } };
}
