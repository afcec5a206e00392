/** What the words of ENTRYPOINT, CMD and HEALTHCHECK start. */
import { nameOf } from './files.ts';
import { plainCommand } from './plain-command.ts';

/** The first words are a shell with a command: what it runs at once, where that is plain to see. `isSearched`: the shell looks in PATH as it was given. */
export type ShellCommand = { readonly words: readonly string[]; readonly isSearched: boolean };

const shells: ReadonlySet<string> = new Set(['sh', 'ash', 'dash', 'bash']);

/** What is no program in a shell: POSIX's special and regular built-in utilities, reserved words, and what shells have beside. */
const builtins: ReadonlySet<string> = new Set(
  `: . alias bg break builtin cd chdir command continue declare echo enable eval exec exit export false fc fg getopts hash help history if jobs kill let local
  logout printf pwd read readonly return set shift shopt source suspend test times trap true type typeset ulimit umask unalias unset wait while until for case
  function time do done then else fi select`.split(/\s+/u),
);

/** `environment`: what the shell is started with. */
export function shellCommand(words: readonly string[], environment: ReadonlyMap<string, string>): ShellCommand | undefined {
  const { text, behind = [], isLogin } = shellWords(words) ?? {};
  if (text === undefined) return undefined;
  // The files that a login shell reads may set them.
  const inner = plainCommand(text, { variables: isLogin === true ? new Map() : environment, parameters: behind });
  const [name = ''] = inner ?? [];
  if (inner === undefined || builtins.has(name)) return undefined;
  return { words: inner, isSearched: isLogin !== true };
}

/** The script that the words have a shell read; undefined where they are something else. */
export function shellScript(words: readonly string[]): string | undefined {
  const { text, behind: [script] = [] } = shellWords(words) ?? {};
  return text === undefined ? script : undefined;
}

type ShellWords = {
  /** Of `-c`. */
  readonly text: string | undefined;
  readonly behind: readonly string[];
  /** It reads files of its own first. */
  readonly isLogin: boolean;
};

/** undefined for what is no shell, and for options that make it something else. */
function shellWords(words: readonly string[]): ShellWords | undefined {
  const [shell = '', ...rest] = nameOf(words[0] ?? '') === 'busybox' ? words.slice(1) : words;
  if (!shells.has(nameOf(shell))) return undefined;
  let isLogin = false;
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at] ?? '';
    if (/^-[a-z]*c$/u.test(word) && !/[oins]/u.test(word))
      return { text: rest[at + 1] ?? '', behind: rest.slice(at + 2), isLogin: isLogin || word.includes('l') };
    if (!/^[-+]/u.test(word)) return { text: undefined, behind: rest.slice(at), isLogin };
    if (!/^[-+][abefhlmuvxCEHPT]*o?$/u.test(word) && !/^--(?:login|norc|noprofile|posix)$/u.test(word)) return undefined;
    isLogin ||= word.includes('l') && word !== '--noprofile';
    // The name of an option.
    if (word.endsWith('o')) at++;
  }
  return undefined;
}

/** Options of inits, with those that take the word behind them. */
const inits: ReadonlyMap<string, RegExp> = new Map([
  ['tini', /^(?:-[sgvwl]+|-[pe])$/u],
  ['dumb-init', /^(?:-[cv]+|--single-child|--verbose|-r|--rewrite|--rewrite=.*)$/u],
]);

/** Programs that do nothing but start what stands behind them: the words from there on. */
export function behindInit(words: readonly string[]): readonly string[] | undefined {
  const [name = '', ...rest] = words;
  if (!/^(?:tini|tini-static|dumb-init|catatonit|docker-init)$/u.test(nameOf(name))) return undefined;
  const options = inits.get(nameOf(name).replace(/-static$|^docker-init$/u, (end) => (end === 'docker-init' ? 'tini' : '')));
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at] ?? '';
    if (word === '--') return rest.slice(at + 1);
    if (!word.startsWith('-')) return rest.slice(at);
    if (options?.test(word) !== true) return undefined;
    if (/^(?:-[per]|--rewrite)$/u.test(word)) at++;
  }
  return undefined;
}

/** The line of a script that names its interpreter, as Linux reads it (fs/binfmt_script.c); undefined for no script, '' for one that names none. */
export function shebang(head: string): { readonly interpreter: string; readonly argument: string } | undefined {
  if (!head.startsWith('#!')) return undefined;
  const end = head.indexOf('\n');
  const line = (end < 0 ? head.slice(2) : head.slice(2, end)).replace(/^[ \t]+/u, '').replace(/[ \t]+$/u, '');
  const none = { interpreter: '', argument: '' };
  const cut = line.search(/[ \t\0]/u);
  // Longer than the kernel reads: it does not guess where the name ends.
  if (end < 0 && head.length >= 256 && cut < 0) return none;
  const interpreter = cut < 0 ? line : line.slice(0, cut);
  return { interpreter, argument: cut < 0 ? '' : line.slice(cut).replace(/^[ \t]+/u, '') };
}

/** What env starts, and the variables it does so with. */
export type EnvCommand = { readonly words: readonly string[]; readonly environment: ReadonlyMap<string, string> };

/** Where C libraries look when nobody says PATH. */
const pathOfNobody = '/usr/local/bin:/bin:/usr/bin';

/** `words`: what stands behind the name of env (GNU coreutils 9.7, busybox 1.37); undefined where it starts nothing, or where that is not plain to see. */
export function envCommand(words: readonly string[], environment: ReadonlyMap<string, string>): EnvCommand | undefined {
  const rest = words.toReversed();
  let own = new Map(environment);
  for (let word = rest.pop(); word !== undefined; word = rest.pop()) {
    const split = /^(?:-(?<flags>[iv0]*)S|--split-string(?:=|$))(?<text>[^]*)$/u.exec(word)?.groups;
    if (word === '--') continue;
    if (word === '-' || word === '-i' || word === '--ignore-environment' || split?.['flags']?.includes('i') === true)
      own = new Map([['PATH', pathOfNobody]]);
    if (split !== undefined) {
      const text = split['text'] === '' ? rest.pop() : split['text'];
      const more = splitForEnv(text ?? '', environment);
      if (more === undefined) return undefined;
      rest.push(...more.toReversed());
    } else if (/^-u.|^--unset=/u.test(word) || word === '-u' || word === '--unset') {
      const name = /^(?:-u|--unset=?)(?<name>.*)$/u.exec(word)?.groups?.['name'] ?? '';
      own.delete(name === '' ? (rest.pop() ?? '') : name);
      if (!own.has('PATH')) own.set('PATH', pathOfNobody);
    } else if (/^-(?:i|v|iv|vi)?$|^--(?:ignore-environment|debug)$/u.test(word)) continue;
    else if (/^\w+=/u.test(word)) own.set(word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1));
    else return word === '' || word.startsWith('-') ? undefined : { words: [word, ...rest.toReversed()], environment: own };
  }
  return undefined;
}

/** env -S: words in quotation marks, and `${NAME}`; undefined where escapes stand in it, or variables that nobody knows. */
function splitForEnv(text: string, environment: ReadonlyMap<string, string>): readonly string[] | undefined {
  const words: string[] = [];
  const piece = /(?<blank>[ \t\r\n\v\f]+)|'(?<single>[^'\\]*)'|"(?<double>[^"\\$]*)"|\$\{(?<name>\w+)\}|(?<plain>[^\s'"\\$]+)/uy;
  let open: string | undefined;
  while (piece.lastIndex < text.length) {
    const found = piece.exec(text)?.groups;
    if (found === undefined) return undefined;
    const { blank, single, double, name, plain } = found;
    const value = single ?? double ?? plain ?? environment.get(name ?? '');
    if (blank !== undefined) {
      if (open !== undefined) words.push(open);
      open = undefined;
    } else if (open === undefined && plain?.startsWith('#') === true) break;
    else if (value === undefined) return undefined;
    else open = (open ?? '') + value;
  }
  return open === undefined ? words : [...words, open];
}
