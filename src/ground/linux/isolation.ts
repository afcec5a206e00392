/**
 * The ladder: by what means steps are kept apart from the machine, best first. Which rung a machine gives is found by looking and trying (see
 * docs/decisions/0012-the-ladder.md); it can be forced by name.
 */
import { JettisonError } from '#ground/base/errors.ts';

/**
 * `oci`: root with CAP_SYS_ADMIN; mount and PID namespaces, an OCI runtime. `rootless`: the same as root of a user namespace with many ids.
 * `rootless-single`: of one with a single id. `chroot`: root without namespaces and mounts.
 */
export type Isolation = (typeof isolations)[number];

/** How a step sees its whole tree: layers mounted over each other, or copied into one folder. */
export type TreeForm = (typeof treeForms)[number];

export type Rung = { readonly isolation: Isolation; readonly tree: TreeForm };

/** A rung whose form of trees is still to be found out by a worker. */
export type AlmostRung = { readonly isolation: Isolation; readonly tree: TreeForm | 'auto' };

/** What was asked for; what is undefined is found out. */
export type IsolationWish = { readonly isolation?: Isolation; readonly tree?: TreeForm };

export const isolations = ['oci', 'rootless', 'rootless-single', 'chroot'] as const;
const treeForms = ['overlay', 'copies'] as const;

/**
 * Reads a value of `--isolation`: `auto`, an isolation, a form of trees, or both (`rootless,copies`). `default`, Docker's word, means `auto`. Throws
 * `linux/bad-isolation`.
 */
export function parseIsolation(text: string): IsolationWish {
  if (text === 'auto' || text === 'default') return {};
  let wish: IsolationWish = {};
  for (const word of text.split(',')) {
    const isolation = isolations.find((one) => one === word);
    const tree = treeForms.find((one) => one === word);
    const isTwice = isolation === undefined ? wish.tree !== undefined : wish.isolation !== undefined;
    if ((isolation === undefined && tree === undefined) || isTwice) throw badIsolation(text);
    wish = { ...wish, ...(isolation === undefined ? {} : { isolation }), ...(tree === undefined ? {} : { tree }) };
  }
  if (wish.isolation === 'chroot' && wish.tree === 'overlay') throw badIsolation(text);
  return wish;
}

function badIsolation(text: string): JettisonError {
  return new JettisonError('linux/bad-isolation', `"${text}" is no isolation`, {
    hint: `Use "auto", ${isolations.map((one) => `"${one}"`).join(', ')}, where trees are mounted or copied as this machine allows; or say which: "rootless,overlay", "rootless,copies" ("chroot" always copies)`,
  });
}

/** The error for a rung that was asked for by name and cannot be had: what is missing, and how to get it. */
export function noIsolation(asked: string, problem: string, hint: string): JettisonError {
  return new JettisonError('linux/no-isolation', `Cannot build with isolation "${asked}": ${problem}`, { fault: 'environment', hint });
}

/** `oci` and `rootless` say how a step is kept apart; this says it to a person. */
export function describeRung({ isolation, tree }: Rung): string {
  return `${isolation} (${descriptions[isolation]}), ${tree === 'overlay' ? 'overlay' : 'copies of whole trees'}`;
}

const descriptions: Readonly<Record<Isolation, string>> = {
  oci: 'root with a runtime',
  rootless: 'user namespace',
  'rootless-single': 'user namespace with one id',
  chroot: 'no namespaces',
};
