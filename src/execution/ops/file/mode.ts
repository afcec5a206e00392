/**
 * Modes as --chmod gives them: an octal number, or text as chmod(1) reads it on BSD (`u=rwX,go=rX`), which is what BuildKit does. Unlike
 * GNU's, `X` asks for the mode the file had before any change, `t` is only touched where it is written, and `u=` takes setuid from folders, too.
 */
import { JettisonError } from '#ground/base/errors.ts';

export type ModeChange = (mode: number, isFolder: boolean) => number;

/** The mode so far, and what `X` asks for. */
type Subject = { readonly mode: number; readonly searchable: boolean };

const letters: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111 };
const places: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o0007, a: 0o6777 };
const shifts: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };
const everyone = 0o6777;
const sticky = 0o1000;

/** Throws `ops/bad-mode`. */
export function parseMode(mode: number | string | null): ModeChange {
  if (mode === null) return (before) => before;
  if (typeof mode === 'number') return () => mode & 0o7777;
  const changes = mode.split(',').map(parseClause);
  return (before, isFolder) => {
    const searchable = isFolder || (before & 0o111) !== 0;
    return changes.reduce((value, change) => change({ mode: value, searchable }), before);
  };
}

/** One of the comma-separated parts: who, then one or more of operator and permissions. No umask counts. */
function parseClause(clause: string): (on: Subject) => number {
  const parts = /^([ugoa]*)((?:[-+=][rwxXstugo]*)+)$/u.exec(clause);
  if (!parts) throw new JettisonError('ops/bad-mode', `Bad mode "${clause}"`, { hint: 'Write octal digits (0755) or u=rwX,go=rX' });
  const who = parts[1] === '' ? everyone : Array.from(parts[1] ?? '').reduce((bits, place) => bits | (places[place] ?? 0), 0);
  const steps = [...(parts[2] ?? '').matchAll(/([-+=])([rwxXstugo]*)/gu)];
  return (on) =>
    steps.reduce((mode, [, operator = '', permissions = '']) => changeStep({ ...on, mode }, who, operator, permissions), on.mode);
}

/** `u`, `g` and `o` among the permissions copy what these have by now; what stands between them is set on its own. */
function changeStep(on: Subject, who: number, operator: string, permissions: string): number {
  let { mode } = on;
  for (const run of permissions.match(/[rwxXst]+|[ugo]/gu) ?? ['']) {
    const from = shifts[run];
    if (from === undefined) mode = changeBits(mode, operator, ...bitsOf(run, who, on.searchable));
    else mode = changeBits(mode, operator, (((mode >> from) & 7) * 0o111) & who, who & 0o777);
  }
  return mode;
}

/** What a run of letters means for `who`, and all it could mean: what `=` clears. */
function bitsOf(run: string, who: number, searchable: boolean): readonly [bits: number, mask: number] {
  // Setuid, setgid and sticky are nothing of others.
  const special = (who & ~0o0007) !== 0;
  const mask = special && run.includes('t') ? who | sticky : who;
  let bits = 0;
  for (const letter of run) {
    if (letter === 'X') bits |= searchable ? 0o111 : 0;
    else if (letter === 's') bits |= 0o6000;
    else if (letter === 't') bits |= sticky;
    else bits |= letters[letter] ?? 0;
  }
  return [bits & mask, mask];
}

function changeBits(mode: number, operator: string, bits: number, mask: number): number {
  if (operator === '+') return mode | bits;
  return operator === '-' ? mode & ~bits : (mode & ~mask) | bits;
}
