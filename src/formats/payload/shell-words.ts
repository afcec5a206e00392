/** Reads the text of a shell: pipelines, their commands and words (POSIX.1-2024, Shell Command Language, 2.2 to 2.9.3). Only what is plain to see is read. */

/** What a shell puts in the place of `$NAME`, and of `$0`, `$1` and so on. */
export type ShellValues = {
  readonly variables: ReadonlyMap<string, string>;
  readonly parameters: readonly string[];
};

/** `values`: more than one for `"$@"`; undefined where only the shell will know. */
export type Word = { readonly raw: string; readonly values: readonly string[] | undefined };

export type Command = {
  readonly words: readonly Word[];
  /** Commands are substituted in it. */
  readonly runsOthers: boolean;
  /** Its output goes into a file, other than a device. */
  readonly writes: boolean;
};

/** '' for the end of the text; a line's end is ';'. */
export type Operator = '' | ';' | '&' | '&&' | '||' | '|';

export type Pipeline = { readonly commands: readonly Command[]; readonly operator: Operator; readonly end: number };

/** Blank lines, comments and joined lines too: up to where a command begins. */
export function skipBlank(text: string, start: number): number {
  const blank = /(?:[ \t\n]|\\\n|#[^\n]*)*/uy;
  blank.lastIndex = start;
  return start + (blank.exec(text)?.[0].length ?? 0);
}

/** Longer ones first. */
const operators: readonly { readonly mark: string; readonly operator: Operator }[] = [
  { mark: '', operator: '' },
  { mark: '&&', operator: '&&' },
  { mark: '||', operator: '||' },
  { mark: '|&', operator: '|' },
  { mark: '|', operator: '|' },
  { mark: '&', operator: '&' },
  { mark: ';', operator: ';' },
  { mark: '\n', operator: ';' },
];

/** undefined for what is not plain. */
export function readPipeline(text: string, start: number, values: ShellValues): Pipeline | undefined {
  const commands: Command[] = [];
  let at = start;
  for (;;) {
    const read = readCommand(text, at, values);
    if (read === undefined) return undefined;
    commands.push(read.command);
    at = read.end;
    const found = at >= text.length ? operators[0] : operators.find(({ mark }) => mark !== '' && text.startsWith(mark, at));
    if (found === undefined || text.startsWith(';;', at)) return undefined;
    at += found.mark.length;
    if (found.operator !== '|') return { commands, operator: found.operator, end: at };
    at = skipBlank(text, at);
  }
}

const redirection = /\d*(?:>>|>\||>&|<&|<>|<|>)(?![<>&|(])[ \t]*/uy;

/** Up to an operator; undefined for what is not one command. */
function readCommand(text: string, start: number, values: ShellValues): { readonly command: Command; readonly end: number } | undefined {
  const words: Word[] = [];
  let isEmpty = true;
  let runsOthers = false;
  let writes = false;
  let at = start;
  for (;;) {
    const blank = /(?:[ \t]|\\\n)*/uy;
    blank.lastIndex = at;
    at += blank.exec(text)?.[0].length ?? 0;
    if (text[at] === '#') at = text.includes('\n', at) ? text.indexOf('\n', at) : text.length;
    if (at >= text.length || /[\n;&|]/u.test(text[at] ?? ''))
      return isEmpty ? undefined : { command: { words, runsOthers, writes }, end: at };
    redirection.lastIndex = at;
    const operator = redirection.exec(text)?.[0] ?? '';
    const read = readWord(text, at + operator.length, values);
    if (read === undefined || read.word.raw === '') return undefined;
    at = read.end;
    isEmpty = false;
    runsOthers ||= read.runsOthers;
    if (operator === '') words.push(read.word);
    else writes ||= operator.includes('>') && !/^(?:\d+$|-$|\/dev\/)/u.test(read.word.raw);
  }
}

/** What is known of a word so far; undefined where only the shell will know. */
type Known = string | undefined;

type ReadWord = { readonly word: Word; readonly runsOthers: boolean; readonly end: number };

function readWord(text: string, start: number, values: ShellValues): ReadWord | undefined {
  let known: Known = '';
  let runsOthers = false;
  let at = start;
  const add = (more: Known): void => {
    known = known === undefined || more === undefined ? undefined : known + more;
  };
  while (at < text.length && !/[ \t<>\n;&|]/u.test(text[at] ?? '')) {
    const mark = text[at] ?? '';
    if (/[()]/u.test(mark)) return undefined;
    if (mark === '\\') {
      const escaped = text[at + 1];
      if (escaped === undefined) return undefined;
      add(escaped === '\n' ? '' : escaped);
      at += 2;
    } else if (mark === "'") {
      const end = text.indexOf("'", at + 1);
      if (end < 0) return undefined;
      add(text.slice(at + 1, end));
      at = end + 1;
    } else if (mark === '"') {
      const quoted = readQuoted(text, at + 1, values);
      if (quoted === undefined) return undefined;
      add(quoted.known);
      runsOthers ||= quoted.runsOthers === true;
      at = quoted.end;
    } else if (mark === '$' || mark === '`') {
      const variable = readVariable(text, at, values);
      if (variable === undefined) return undefined;
      runsOthers ||= variable.runsOthers === true;
      // Without quotes it is split into words, and patterns in it are looked for.
      add(variable.known === '' || /[\s*?[\\]/u.test(variable.known ?? '') ? undefined : variable.known);
      at = variable.end;
    } else {
      add(/[*?[{]/u.test(mark) || (mark === '~' && at === start) ? undefined : mark);
      at++;
    }
  }
  const raw = text.slice(start, at);
  const word = { raw, values: raw === '"$@"' ? values.parameters.slice(1) : known === undefined ? undefined : [known] };
  return { word, runsOthers, end: at };
}

type Read = { readonly known: Known; readonly end: number; readonly runsOthers?: boolean };

/** Up to the second quotation mark; undefined where none comes. */
function readQuoted(text: string, start: number, values: ShellValues): Read | undefined {
  let known: Known = '';
  let runsOthers = false;
  for (let at = start; at < text.length;) {
    const mark = text[at] ?? '';
    if (mark === '"') return { known, runsOthers, end: at + 1 };
    if (mark === '$' || mark === '`') {
      const variable = readVariable(text, at, values);
      if (variable === undefined) return undefined;
      runsOthers ||= variable.runsOthers === true;
      known = known === undefined || variable.known === undefined ? undefined : known + variable.known;
      at = variable.end;
      continue;
    }
    const escaped = mark === '\\' && /[$`"\\\n]/u.test(text[at + 1] ?? '') ? text[at + 1] : undefined;
    if (known !== undefined) known += escaped === '\n' ? '' : (escaped ?? mark);
    at += escaped === undefined ? 1 : 2;
  }
  return undefined;
}

/** `$NAME` and `${NAME}`; what else braces hold is not known, nor what a command is substituted for. */
function readVariable(text: string, start: number, { variables, parameters }: ShellValues): Read | undefined {
  if (text[start] === '`' || text.startsWith('$(', start)) {
    const end = endOfSubstitution(text, start);
    return end === undefined ? undefined : { known: undefined, end, runsOthers: true };
  }
  const pattern = /\$(?:(?<bare>[A-Za-z_]\w*|\d)|\{(?<braced>\w+)\}|(?<unknown>[@*#?$!-]|\{\w+[^{}"'`$\\]*\}))/uy;
  pattern.lastIndex = start;
  const found = pattern.exec(text);
  if (found === null) return /^\$[{'"]/u.test(text.slice(start, start + 2)) ? undefined : { known: '$', end: start + 1 };
  const name = found.groups?.['bare'] ?? found.groups?.['braced'];
  const known = name === undefined ? undefined : /^\d+$/u.test(name) ? parameters[Number(name)] : variables.get(name);
  return { known, end: start + found[0].length };
}

/** Behind `$(...)`, `$((...))` or backquotes without quotation marks, comments or further ones of their kind in them; undefined for others. */
function endOfSubstitution(text: string, start: number): number | undefined {
  const plain = /`[^`'"\\#]*`|\$\([^()'"`\\#]*\)|\$\(\([^()'"`\\#]*\)\)/uy;
  plain.lastIndex = start;
  const found = plain.exec(text);
  return found === null ? undefined : start + found[0].length;
}
