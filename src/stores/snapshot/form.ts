/**
 * The form in which the snapshots of a store are written. It depends on what the writing process may do, and each form is nonsense to who has another: overlayfs's marks are
 * `trusted.*` or `user.*`, owners are the files' own or recorded beside them.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { JettisonError, systemCode, unreachable } from '#ground/base/errors.ts';
import type { Isolation } from '#ground/linux/isolation.ts';
import { ownRights } from '#ground/linux/own-rights.ts';
import { isMachineRoot, whyNoSubordinateIds, type Obstacle } from '#ground/linux/user-namespace.ts';

/** How this process writes snapshots. */
function ownForm(): Form {
  if (isMachineRoot()) return 'trusted';
  return ownRights().hasOneId ? 'recorded' : 'user';
}

type Form = keyof typeof writers;

/** Who writes a form, for people, and how it is asked for. */
const writers = {
  trusted: { who: 'root with CAP_SYS_ADMIN', isolation: 'oci' },
  user: { who: 'a normal user with ids of its own, or root without CAP_SYS_ADMIN', isolation: 'rootless' },
  recorded: { who: 'a user with one id', isolation: 'rootless-single' },
} as const;

/** Remembers the form of the snapshots in `folder` (its file `form`), or throws `snapshot/other-form` when they were written in another one. For whoever reads or writes them. */
export function checkForm(folder: string): void {
  const mine = ownForm();
  const found = formOf(folder);
  if (found === undefined) writeFileSync(join(folder, 'form'), `${mine}\n`, { mode: 0o644 });
  else if (found !== mine) throw otherForm(folder, found, mine);
}

/** The form of the snapshots in `folder`; undefined while there are none. */
export function formOf(folder: string): Form | undefined {
  try {
    const text = readFileSync(join(folder, 'form'), 'latin1').trim();
    return text === 'trusted' || text === 'user' || text === 'recorded' ? text : undefined;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** What keeps a process on this rung from the snapshots in `folder`; undefined when nothing does. */
export function whyOtherForm(folder: string, isolation: Isolation): Obstacle | undefined {
  const form = formOf(folder);
  if (form === undefined || fitsForm(form, isolation)) return undefined;
  return {
    problem: `the store "${dirname(folder)}" was written by ${writers[form].who}`,
    hint: 'Name another one in JETTISON_STORE, or remove this one',
  };
}

/** Would a process that this one starts on this rung write in this form? */
function fitsForm(form: Form, isolation: Isolation): boolean {
  switch (isolation) {
    case 'oci':
    case 'chroot':
      return form === ownForm();
    case 'rootless':
      return form === 'user';
    case 'rootless-single':
      return form === 'recorded';
    default:
      return unreachable(isolation, 'isolation');
  }
}

/** In which namespaces a normal user can touch the snapshots in `folder`. */
export function isolationOf(folder: string): 'rootless' | 'rootless-single' {
  const form = formOf(folder);
  if (form !== undefined) return form === 'recorded' ? 'rootless-single' : 'rootless';
  return whyNoSubordinateIds(process.env['PATH'] ?? '') === undefined ? 'rootless' : 'rootless-single';
}

function otherForm(folder: string, found: Form, mine: Form): JettisonError {
  return new JettisonError(
    'snapshot/other-form',
    `The store "${dirname(folder)}" was written by ${writers[found].who}, and means nothing to ${writers[mine].who}`,
    {
      fault: 'environment',
      hint: `Use it as before (--isolation ${writers[found].isolation}), name another one in JETTISON_STORE, or remove it`,
    },
  );
}
