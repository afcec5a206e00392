/** What the words of ENTRYPOINT, CMD and HEALTHCHECK start. */
import { nameOf } from './files.ts';

/** The first words are a shell with a command: what it runs at once, where that is plain to see. `isSearched`: the shell looks in PATH as it was given. */
export type ShellCommand = { readonly words: readonly string[]; readonly isSearched: boolean };

const shells: ReadonlySet<string> = new Set(['sh', 'ash', 'dash', 'bash']);
const plainWords = /^\s*(?:exec\s+)?(?<words>[\w@%+:,./-]+(?:[ \t]+[\w@%+:,./=-]+)*)\s*$/u;

/** What is no program in a shell: POSIX's special and regular built-in utilities, reserved words, and what shells have beside. */
const builtins: ReadonlySet<string> = new Set(
  `: . alias bg break builtin cd chdir command continue declare echo enable eval exec exit export false fc fg getopts hash help history if jobs kill let local
  logout printf pwd read readonly return set shift shopt source suspend test times trap true type typeset ulimit umask unalias unset wait while until for case
  function time do done then else fi select`.split(/\s+/u),
);

export function shellCommand(words: readonly string[]): ShellCommand | undefined {
  const [shell = '', option = '', text = ''] = words;
  if (!shells.has(nameOf(shell)) || !/^-[a-z]*c$/u.test(option)) return undefined;
  const plain = plainWords.exec(text)?.groups?.['words'];
  if (plain === undefined) return undefined;
  const inner = plain.split(/[ \t]+/u);
  const [name = ''] = inner;
  if (builtins.has(name)) return undefined;
  return { words: inner, isSearched: !option.includes('l') };
}

/** Programs that do nothing but start what stands behind them: the words from there on. */
export function behindInit(words: readonly string[]): readonly string[] | undefined {
  const [name = '', ...rest] = words;
  if (!/^(?:tini|tini-static|dumb-init|catatonit|docker-init)$/u.test(nameOf(name))) return undefined;
  const at = rest.indexOf('--');
  if (at >= 0) return rest.slice(at + 1);
  return rest[0]?.startsWith('-') === true ? undefined : rest;
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

/** What `env` starts, by the one argument that the kernel gives it; undefined where that is not plain to see. */
export function envProgram(argument: string): readonly string[] | undefined {
  const split = /^(?:-S|--split-string=?)[ \t]*(?<rest>[^'"\\$]*)$/u.exec(argument)?.groups?.['rest'];
  const words = split === undefined ? [argument] : split.split(/[ \t]+/u);
  const program = words.filter((word, index) => word !== '' && !words.slice(0, index + 1).every((one) => /^\w+=/u.test(one)));
  const [first = ''] = program;
  return first === '' || first.startsWith('-') ? undefined : program;
}
