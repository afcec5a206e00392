/**
 * Who was whose child, and how each ended, out of the events of all processes of a machine. A process that is about to start another one takes a name that nobody else has, a *mark*, and
 * puts it away again: what it started meanwhile is the beginning of a family. Of a family are kept the process itself, its children and their children; all others are passed over.
 */
import type { ProcessEvent } from './process-events.ts';

export type SeenProcess = {
  /** The first 15 bytes of the name of the program that it became last; undefined where nobody looked in time. */
  readonly name: string | undefined;
  /** The name that it has got otherwise since then: a copy may say what it does. */
  readonly laterName: string | undefined;
  /** How often it became a program: not at all is a copy of its parent. */
  readonly programs: number;
  /** As a shell gives it: 128 + n for signal n. */
  readonly code: number;
};

/** `children` in the order of their starts. `isWhole`: none is missing, and how each ended is certain. */
export type SeenProcesses = { readonly own: SeenProcess; readonly children: readonly SeenProcess[]; readonly isWhole: boolean };

/** A process whose name has to be looked up while it is there. */
export type Nameless = { readonly process: number; readonly programs: number };

export type ProcessFamilies = {
  /** From now on; there must be none of this mark yet. */
  expect(mark: string): void;
  readonly take: (event: ProcessEvent) => void;
  /** Something was lost: nothing is known any more of the families that are there. */
  lose(): void;
  forget(mark: string): void;
  /** Those that became a program, and whose name was not asked for here since. */
  nameless(): readonly Nameless[];
  /** Of one that is still there, and still what it was. */
  name(process: Nameless, name: string): void;
  /**
   * The child of the marked one that ended with `code` as this one did, with its own children: a runtime's container. Undefined where there is none, or could be another one;
   * 'running' while the end of one of them was not told.
   */
  endedBelow(mark: string, code: number): SeenProcesses | 'running' | undefined;
};

type Family = { root: Member | undefined; isCertain: boolean };

type Member = {
  readonly process: number;
  readonly family: Family;
  /** 0 for what was started under the mark. */
  readonly depth: number;
  readonly children: Member[];
  /** None of its children was left out. */
  hasAll: boolean;
  name: string | undefined;
  laterName: string | undefined;
  programs: number;
  /** `at`: which of all ends. */
  end: { readonly code: number; readonly at: number; readonly isCertain: boolean } | undefined;
};

const mostDepth = 2;
const mostChildren = 1000;

export function createProcessFamilies(): ProcessFamilies {
  const families = new Map<string, Family>();
  /** Of processes that bear a mark at the moment. */
  const marked = new Map<number, Family>();
  const members = new Map<number, Member>();
  const nameless = new Set<Member>();
  let ends = 0;

  const add = (process: number, family: Family, parent?: Member): Member => {
    const depth = parent === undefined ? 0 : parent.depth + 1;
    const member = {
      process,
      family,
      depth,
      children: [],
      hasAll: true,
      name: undefined,
      laterName: undefined,
      programs: 0,
      end: undefined,
    };
    members.set(process, member);
    return member;
  };
  const start = (process: number, parent: number): void => {
    // Whoever had this number before is gone.
    members.delete(process);
    const family = marked.get(parent);
    if (family !== undefined) {
      if (family.root !== undefined) family.isCertain = false;
      family.root = add(process, family);
      return;
    }
    const known = members.get(parent);
    if (known === undefined || known.depth >= mostDepth) return;
    if (known.children.length < mostChildren) known.children.push(add(process, known.family, known));
    else known.hasAll = false;
  };
  const end = (member: Member, { code, isFirstThread }: Extract<ProcessEvent, { kind: 'end' }>): void => {
    if (isFirstThread) {
      member.end = { code, at: ++ends, isCertain: true };
      nameless.delete(member);
      return;
    }
    // Threads that go on without the first one may end the process otherwise than that one ended.
    if (member.end !== undefined && member.end.code !== code) member.end = { ...member.end, isCertain: false };
  };

  const rename = (member: Member, name: string): void => {
    member.laterName = name;
    nameless.delete(member);
  };

  return {
    expect: (mark) => void families.set(mark, { root: undefined, isCertain: true }),
    take(event) {
      if (event.kind === 'start') return start(event.process, event.parent);
      if (event.kind === 'name') {
        const family = families.get(event.name);
        if (family !== undefined) marked.set(event.process, family);
        else marked.delete(event.process);
      }
      const member = members.get(event.process);
      if (member === undefined) return;
      if (event.kind === 'name') rename(member, event.name);
      else if (event.kind === 'end') end(member, event);
      else {
        // A thread that becomes a program ends all others, and takes the number of the first.
        member.end = undefined;
        member.programs++;
        member.name = undefined;
        member.laterName = undefined;
        nameless.add(member);
      }
    },
    lose() {
      for (const family of families.values()) family.isCertain = false;
      marked.clear();
      members.clear();
      nameless.clear();
    },
    forget(mark) {
      const family = families.get(mark);
      families.delete(mark);
      for (const [process, each] of marked) if (each === family) marked.delete(process);
      for (const [process, member] of members) {
        if (member.family !== family) continue;
        members.delete(process);
        nameless.delete(member);
      }
    },
    nameless() {
      const found = [...nameless].map(({ process, programs }) => ({ process, programs }));
      nameless.clear();
      return found;
    },
    name({ process, programs }, name) {
      const member = members.get(process);
      if (member?.programs === programs && member.end === undefined && member.laterName === undefined) member.name = name;
    },
    endedBelow(mark, code) {
      const family = families.get(mark);
      if (family?.root === undefined || !family.isCertain) return undefined;
      const { root } = family;
      if (root.end === undefined || root.children.some(isRunning)) return 'running';
      const first = firstOf(root, code);
      if (first === undefined) return undefined;
      if (first.children.some(isRunning)) return 'running';
      return {
        own: seen(first),
        children: first.children.map(seen),
        isWhole: first.hasAll && [first, ...first.children].every(isCertain),
      };
    },
  };
}

/** Of several that ended with 0 (a runtime starts itself more than once) it is the last; of several that failed alike it could be any. */
function firstOf(root: Member, code: number): Member | undefined {
  const found = root.children
    .filter((each) => each.end?.code === code && each.programs > 0)
    .toSorted((one, other) => (one.end?.at ?? 0) - (other.end?.at ?? 0));
  return root.hasAll && (found.length === 1 || code === 0) ? found.at(-1) : undefined;
}

function isCertain({ end }: Member): boolean {
  return end?.isCertain === true;
}

function isRunning({ end }: Member): boolean {
  return end === undefined;
}

function seen({ name, laterName, programs, end }: Member): SeenProcess {
  return { name, laterName, programs, code: end?.code ?? 0 };
}
