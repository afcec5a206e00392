/** Modes as --chmod gives them: an octal number, or text in the form of chmod(1): `u=rwX,go=rX`. */
import { JettisonError } from '#ground/base/errors.ts';

export type ModeChange = (mode: number, isFolder: boolean) => number;

const letters: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111 };
const places: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007 };
const shifts: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };

/** Throws `ops/bad-mode`. */
export function parseMode(mode: number | string | null): ModeChange {
  if (mode === null) return (before) => before;
  if (typeof mode === 'number') return () => mode & 0o7777;
  const changes = mode.split(',').map(parseClause);
  return (before, isFolder) => changes.reduce((value, change) => change(value, isFolder), before);
}

/** One of the comma-separated parts: who, then one or more of operator and permissions. No umask counts. */
function parseClause(clause: string): ModeChange {
  const parts = /^([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)$/u.exec(clause);
  if (!parts) throw new JettisonError('ops/bad-mode', `Bad mode "${clause}"`, { hint: 'Write octal digits (0755) or u=rwX,go=rX' });
  const who = parts[1] === '' || parts[1]?.includes('a') ? 'ugo' : (parts[1] ?? '');
  const mask = Array.from(who).reduce((bits, place) => bits | (places[place] ?? 0), 0);
  const steps = [...(parts[2] ?? '').matchAll(/([-+=])([ugo]|[rwxXst]*)/gu)];
  return (before, isFolder) =>
    steps.reduce((mode, [, operator = '', permissions = '']) => {
      const bits = bitsOf(permissions, { mode, isFolder, who }) & mask;
      if (operator === '+') return mode | bits;
      if (operator === '-') return mode & ~bits;
      // chmod keeps setuid and setgid of folders unless they are named.
      const kept = isFolder && !permissions.includes('s') ? mode & 0o6000 : 0;
      return (mode & ~mask) | bits | (kept & mask);
    }, before);
}

function bitsOf(permissions: string, on: { readonly mode: number; readonly isFolder: boolean; readonly who: string }): number {
  const from = shifts[permissions];
  if (from !== undefined) return ((on.mode >> from) & 7) * 0o111;
  let bits = 0;
  for (const letter of permissions) {
    if (letter === 'X') bits |= on.isFolder || (on.mode & 0o111) !== 0 ? 0o111 : 0;
    else if (letter === 's') bits |= (on.who.includes('u') ? 0o4000 : 0) | (on.who.includes('g') ? 0o2000 : 0);
    else if (letter === 't') bits |= 0o1000;
    else bits |= letters[letter] ?? 0;
  }
  return bits;
}
