/** The text of `sh -c` where it is one plain command (POSIX.1-2024, Shell Command Language, 2.2 to 2.9.1). */

/** What a shell puts in the place of `$NAME`, and of `$0`, `$1` and so on. */
export type ShellValues = {
  readonly variables: ReadonlyMap<string, string>;
  readonly parameters: readonly string[];
};

/** `values`: more than one for `"$@"`; undefined where only the shell will know. */
type Word = { readonly raw: string; readonly values: readonly string[] | undefined };

/**
 * The words of the one program that the text starts, up to the first that nobody knows yet; undefined for anything else: several commands, substitutions of
 * commands, a program whose name nobody knows, variables before it that change what is found.
 */
export function plainCommand(text: string, values: ShellValues): readonly string[] | undefined {
  const words = readWords(text.trim(), values);
  if (words === undefined) return undefined;
  const first = words.findIndex(({ raw }) => !/^[A-Za-z_]\w*=/u.test(raw));
  if (first < 0 || words.slice(0, first).some(({ raw }) => /^(?:PATH|LD_\w+)=/u.test(raw)) || words[first]?.raw === '!') return undefined;
  const unknown = words.findIndex((word, index) => index >= first && word.values === undefined);
  const known = words.slice(first, unknown < 0 ? undefined : unknown).flatMap((word) => word.values ?? []);
  const program = known[0] === 'exec' ? known.slice(1) : known;
  return program.length === 0 || program[0] === '' || program[0]?.startsWith('-') === true ? undefined : program;
}

const redirection = /\d*(?:>>|>\||>&|<&|<>|<|>)(?![<>&|(])[ \t]*/uy;

/** undefined for what is not one command. */
function readWords(text: string, values: ShellValues): readonly Word[] | undefined {
  const words: Word[] = [];
  let at = 0;
  for (;;) {
    while (text[at] === ' ' || text[at] === '\t') at++;
    if (at >= text.length) return words;
    if (text[at] === '#') return text.includes('\n', at) ? undefined : words;
    redirection.lastIndex = at;
    const redirected = redirection.exec(text)?.[0].length ?? 0;
    const word = readWord(text, at + redirected, values);
    if (word === undefined || word.raw === '') return undefined;
    at += redirected + word.raw.length;
    if (redirected === 0) words.push(word);
  }
}

/** What is known of a word so far; undefined where only the shell will know. */
type Known = string | undefined;

function readWord(text: string, start: number, values: ShellValues): Word | undefined {
  let known: Known = '';
  let at = start;
  const add = (more: Known): void => {
    known = known === undefined || more === undefined ? undefined : known + more;
  };
  while (at < text.length && !/[ \t<>]/u.test(text[at] ?? '')) {
    const mark = text[at] ?? '';
    if (/[\n;&|()`]/u.test(mark)) return undefined;
    if (mark === '\\') {
      const escaped = text[at + 1];
      if (escaped === undefined || escaped === '\n') return undefined;
      add(escaped);
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
      at = quoted.end;
    } else if (mark === '$') {
      const variable = readVariable(text, at, values);
      if (variable === undefined) return undefined;
      // Without quotes it is split into words, and patterns in it are looked for.
      add(variable.known === '' || /[\s*?[\\]/u.test(variable.known ?? '') ? undefined : variable.known);
      at = variable.end;
    } else {
      add(/[*?[{]/u.test(mark) || (mark === '~' && at === start) ? undefined : mark);
      at++;
    }
  }
  const raw = text.slice(start, at);
  return { raw, values: raw === '"$@"' ? values.parameters.slice(1) : known === undefined ? undefined : [known] };
}

type Read = { readonly known: Known; readonly end: number };

/** Up to the second quotation mark; undefined where none comes, and for substitutions of commands. */
function readQuoted(text: string, start: number, values: ShellValues): Read | undefined {
  let known: Known = '';
  for (let at = start; at < text.length;) {
    const mark = text[at] ?? '';
    if (mark === '"') return { known, end: at + 1 };
    if (mark === '`') return undefined;
    if (mark === '$') {
      const variable = readVariable(text, at, values);
      if (variable === undefined) return undefined;
      known = known === undefined || variable.known === undefined ? undefined : known + variable.known;
      at = variable.end;
      continue;
    }
    const escaped = mark === '\\' && /[$`"\\]/u.test(text[at + 1] ?? '') ? text[at + 1] : undefined;
    if (known !== undefined) known += escaped ?? mark;
    at += escaped === undefined ? 1 : 2;
  }
  return undefined;
}

/** `$NAME` and `${NAME}`; what else braces hold is not known, and nothing is that starts with a parenthesis. */
function readVariable(text: string, start: number, { variables, parameters }: ShellValues): Read | undefined {
  const pattern = /\$(?:(?<bare>[A-Za-z_]\w*|\d)|\{(?<braced>\w+)\}|(?<unknown>[@*#?$!-]|\{\w+[^{}"'`$\\]*\}))/uy;
  pattern.lastIndex = start;
  const found = pattern.exec(text);
  if (found === null) return /^\$[({'"]/u.test(text.slice(start, start + 2)) ? undefined : { known: '$', end: start + 1 };
  const name = found.groups?.['bare'] ?? found.groups?.['braced'];
  const known = name === undefined ? undefined : /^\d+$/u.test(name) ? parameters[Number(name)] : variables.get(name);
  return { known, end: start + found[0].length };
}
