/** What the words of ENTRYPOINT, CMD and HEALTHCHECK start. */
import { nameOf } from './files.ts';

/** A shell with a text or a script. */
export type ShellCall = {
  /** Of `-c`; undefined where it reads the script that `parameters` begin with. */
  readonly text: string | undefined;
  /** `$0` and those behind it. */
  readonly parameters: readonly string[];
  /** It reads files of its own first, which may set everything. */
  readonly isLogin: boolean;
  /** It ends where a command fails. */
  readonly endsOnFailure: boolean;
};

const shells: ReadonlySet<string> = new Set(['sh', 'ash', 'dash', 'bash']);

/** undefined for what is no shell, for one that reads its standard input, and for options that make it something else. */
export function shellCall(words: readonly string[]): ShellCall | undefined {
  const [shell = '', ...rest] = nameOf(words[0] ?? '') === 'busybox' ? words.slice(1) : words;
  if (!shells.has(nameOf(shell))) return undefined;
  let isLogin = false;
  let endsOnFailure = false;
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at] ?? '';
    const isOption = /^-[a-z]*c$/u.test(word) && !/[oins]/u.test(word);
    if (!isOption && !/^[-+]/u.test(word)) return { text: undefined, parameters: rest.slice(at), isLogin, endsOnFailure };
    isLogin ||= word.includes('l') && word !== '--noprofile';
    // The name of an option.
    const option = /^[-+][a-z]*o$/iu.test(word) ? rest[++at] : undefined;
    if ((/^[-+][a-z]*e/iu.test(word) && !word.startsWith('--')) || option === 'errexit') endsOnFailure = word.startsWith('-');
    if (isOption) return { text: rest[at + 1] ?? '', parameters: rest.slice(at + 2), isLogin, endsOnFailure };
    if (!/^[-+][abefhlmuvxCEHPT]*o?$/u.test(word) && !/^--(?:login|norc|noprofile|posix)$/u.test(word)) return undefined;
  }
  return undefined;
}

/** What the kernel starts for a script that names `interpreter`, up to `env`; undefined where nobody knows what env would start. */
export function scriptCall(
  { interpreter, argument }: { readonly interpreter: string; readonly argument: string },
  words: readonly string[],
  environment: ReadonlyMap<string, string>,
): readonly string[] | undefined {
  const call = argument === '' ? [interpreter] : [interpreter, argument];
  const [first, ...rest] = nameOf(interpreter) === 'env' ? (envCommand(call.slice(1), environment)?.words ?? []) : call;
  return first === undefined ? undefined : [first, ...rest, ...words];
}

/** A program that starts what stands behind its own words. */
type Starter = {
  readonly options: RegExp;
  /** Those that take the word behind them. */
  readonly withWord: RegExp;
  /** Words that are its own beside options. */
  readonly operands: number;
  /** It becomes another user first. */
  readonly isOtherUser?: boolean;
};

const noOption = /^$/u;
const tini: Starter = { options: /^(?:-[sgvwl]+|-[pe])$/u, withWord: /^-[pe]$/u, operands: 0 };
const otherUser: Starter = { options: noOption, withWord: noOption, operands: 1, isOtherUser: true };

const starters: ReadonlyMap<string, Starter> = new Map<string, Starter>([
  ['tini', tini],
  ['tini-static', tini],
  ['docker-init', tini],
  ['catatonit', { options: noOption, withWord: noOption, operands: 0 }],
  [
    'dumb-init',
    { options: /^(?:-[cv]+|--single-child|--verbose|-r|--rewrite|--rewrite=.*)$/u, withWord: /^(?:-r|--rewrite)$/u, operands: 0 },
  ],
  ['nice', { options: /^(?:-n|-n-?\d+|-\d+|--adjustment=-?\d+)$/u, withWord: /^-n$/u, operands: 0 }],
  ['nohup', { options: noOption, withWord: noOption, operands: 0 }],
  ['setsid', { options: /^(?:-c|--ctty)$/u, withWord: noOption, operands: 0 }],
  [
    'timeout',
    {
      options: /^(?:-[ks]|-[ks]\w+|-v|--(?:kill-after|signal)=\w+|--foreground|--preserve-status|--verbose)$/u,
      withWord: /^-[ks]$/u,
      operands: 1,
    },
  ],
  ['gosu', otherUser],
  ['su-exec', otherUser],
]);

export type StartedBehind = { readonly words: readonly string[]; readonly isOtherUser: boolean };

/** What a program that does nothing but start another one starts; undefined for others. */
export function startedBehind(words: readonly string[]): StartedBehind | undefined {
  const [name = '', ...rest] = words;
  const starter = starters.get(nameOf(name));
  if (starter === undefined) return undefined;
  const { options, withWord, operands, isOtherUser = false } = starter;
  let at = 0;
  for (; rest[at]?.startsWith('-') === true && rest[at] !== '--'; at++) {
    const word = rest[at] ?? '';
    if (!options.test(word)) return undefined;
    if (withWord.test(word)) at++;
  }
  if (rest[at] === '--') at++;
  return { words: rest.slice(at + operands), isOtherUser };
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
