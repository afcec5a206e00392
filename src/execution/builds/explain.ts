/**
 * Why steps ran again: the keys of a build are compared, part by part and input by input, with those of the nearest earlier build of the
 * same Dockerfile, down to where the first difference is. What lies above it inherits the cause.
 */
import type { CacheKey, KeyInput } from '#execution/cache/key.ts';
import type { Eviction } from '#execution/cache/records.ts';
import type { Digest } from '#ground/base/digest.ts';
import { compareFileLists, type FileList } from '#stores/context/file-list.ts';
import type { Change } from './past-build.ts';
import { compareOps, listOf } from './compare.ts';
import { forcedBy, lostResult, neverSeen, unknownCause } from './lost.ts';
import type { ToldCache } from './memory.ts';
import { nearestKeys, type EarlierBuild, type NearestKeys } from './nearest.ts';
import type { StepKey } from './step-key.ts';

/** A step of the build that is explained. */
export type NowStep = StepKey & {
  readonly vertex: Digest;
  readonly isPart: boolean;
  readonly state: 'ran' | 'cached' | 'skipped' | 'failed';
  /** The option that made it run although its result was known. */
  readonly forced: string | null;
  /** One for each input: its vertex, and where files come from, when it is a folder of the client or a file of the web. */
  readonly from: readonly { readonly vertex: Digest; readonly source: string | null }[];
};

export type Known = {
  /** Steps by vertex, also those that did not run. */
  readonly step: (vertex: Digest) => NowStep | undefined;
  readonly steps: readonly NowStep[];
  /** Earlier builds, newest first. */
  readonly earlier: readonly EarlierBuild[];
  readonly keyOf: (key: CacheKey) => StepKey | undefined;
  /** The files behind a content digest. */
  readonly filesOf: (content: CacheKey) => FileList | undefined;
  readonly evicted: (key: CacheKey) => Eviction | undefined;
  /** Those that this build asked. */
  readonly caches: readonly ToldCache[];
};

/** A step where something differs, with all that does (the likeliest first); `more`: how many changes are left out. */
export type Root = {
  readonly vertex: Digest;
  readonly changes: readonly Change[];
  readonly more: number;
  /** Id of the build that it was compared with; null for a step that was never seen. */
  readonly against: string | null;
};

/** `causes`: vertices of the roots that made the step run. */
export type Explained = { readonly vertex: Digest; readonly causes: readonly Digest[] };
export type Explanation = { readonly roots: readonly Root[]; readonly steps: readonly Explained[] };

const mostChanges = 20;
/** How far differences are followed from input to input. */
const deepest = 400;
const longestInsertion = 50;
/** Entries of a list that is compared only to count. */
const longestCounted = 4000;
/** Causes that one step is told to have: where hundreds of instructions changed, the nearest and the farthest. */
const mostCauses = 64;

/** `ran`: the vertices that ran or failed, inputs before what reads them. */
export function explain(ran: readonly NowStep[], given: Known): Explanation {
  const roots = new Map<Digest, Root>();
  const steps: Explained[] = [];
  const known = withMemory(given);
  const nearest = nearestKeys<NowStep>({ ...known, distance: (step, old) => ownDistance(step, old, known) });
  const compare = createComparison(known, nearest);
  const stages = new Set(known.earlier.flatMap((build) => build.steps.flatMap(({ stage, step }) => (step === null ? [] : [stage]))));
  const fetched: Digest[] = [];
  const causesOfReaders = (vertex: Digest): readonly Digest[] => {
    const causes = steps.flatMap((one) => (known.step(one.vertex)?.from.some((from) => from.vertex === vertex) === true ? one.causes : []));
    return [...new Set(causes)].slice(0, mostCauses);
  };
  const firstSeen = new Map<string, Leaf>();
  /** The same argument or option changes many steps: it is one cause, told of the first. */
  const atFirst = (leaf: Leaf): Leaf => {
    if (!isShared(leaf.change)) return leaf;
    const id = JSON.stringify(leaf.change);
    const first = firstSeen.get(id) ?? leaf;
    firstSeen.set(id, first);
    return first;
  };
  for (const step of ran) {
    // No step of the user's, and it costs nothing.
    if (step.isPart) continue;
    const found = nearest.of(step);
    let leaves: readonly Leaf[];
    if (step.forced !== null) leaves = [leafOf(step.vertex, forcedBy(step.forced))];
    else if (found === undefined) leaves = [leafOf(step.vertex, neverSeen(step, stages, known))];
    else leaves = compare(step, found.key, found.build);
    if (leaves.length === 0 && isSource(step)) {
      fetched.push(step.vertex);
      continue;
    }
    if (leaves.length === 0) leaves = [leafOf(step.vertex, unknownCause)];
    leaves = distinct(leaves.map(atFirst));
    const causes = [...new Set(leaves.map((leaf) => leaf.vertex))];
    for (const vertex of causes) {
      if (roots.has(vertex)) continue;
      const changes = leaves.filter((leaf) => leaf.vertex === vertex).map((leaf) => leaf.change);
      const against = found?.build.id ?? null;
      roots.set(vertex, { vertex, changes: changes.slice(0, mostChanges), more: Math.max(0, changes.length - mostChanges), against });
    }
    steps.push({ vertex: step.vertex, causes });
  }
  return { roots: [...roots.values()], steps: [...fetched.map((vertex) => ({ vertex, causes: causesOfReaders(vertex) })), ...steps] };
}

/** An image or a repository that has not changed runs when a step that reads it runs: what made that one run made this one. */
function isSource({ op }: NowStep): boolean {
  return op['kind'] === 'source-image' || op['kind'] === 'source-git';
}

function isShared(change: Change): boolean {
  return !['file', 'instruction', 'mount', 'evicted', 'failed', 'never-seen', 'unknown'].includes(change.class);
}

/** In how many things two keys differ, without looking at the steps below; a long list of files counts as one. */
function ownDistance(step: NowStep, old: StepKey, known: Known): number {
  let distance = compareOps(old, step).length;
  for (const [index, content] of step.contents.entries()) {
    const before = old.contents[index] ?? null;
    if (content === null || before === null || content === before || (step.from[index]?.source ?? null) === null) continue;
    const [lines, oldLines] = [known.filesOf(content), known.filesOf(before)];
    const isCheap = lines !== undefined && oldLines !== undefined && lines.length <= longestCounted;
    distance += isCheap ? compareFileLists(oldLines, lines).length : 1;
  }
  return distance;
}

/** `id`: two leaves with the same are one. */
type Leaf = { readonly vertex: Digest; readonly change: Change; readonly id: string };
type Compare = (now: NowStep, old: StepKey, build: EarlierBuild) => readonly Leaf[];

function createComparison(known: Known, nearest: NearestKeys<NowStep>): Compare {
  const done = new Map<string, readonly Leaf[]>();
  let depth = 0;
  const compare: Compare = (now, old, build) => {
    const id = `${now.vertex} ${old.key} ${build.id}`;
    const before = done.get(id);
    if (before !== undefined) return before;
    if (depth > deepest) return [leafOf(now.vertex, unknownCause)];
    depth++;
    try {
      const leaves = nearAndFar(distinct(compareStep(now, old, build)));
      done.set(id, leaves);
      return leaves;
    } finally {
      depth--;
    }
  };

  const compareStep: Compare = (now, old, build) => {
    const at = (change: Change): Leaf => leafOf(now.vertex, change);
    if (now.forced !== null && now.state === 'ran') return [at(forcedBy(now.forced))];
    if (now.key === old.key) return (now.state === 'ran' || now.state === 'failed') && !isFetched(now) ? [at(lost(now, build))] : [];
    const own = compareOps(old, now).map(at);
    const roles = { old: rolesOf(old), now: rolesOf(now) };
    const inputs = [...roles.now].flatMap(([role, index]) => {
      const oldIndex = roles.old.get(role);
      if (oldIndex !== undefined) return compareInput({ now, old, index, oldIndex, isRoot: role === 'root' });
      return role === 'root' ? [at({ class: 'base-image', object: 'FROM', change: 'added' })] : [];
    });
    if (roles.old.has('root') && !roles.now.has('root')) inputs.unshift(at({ class: 'base-image', object: 'FROM', change: 'removed' }));
    return [...own, ...inputs];
  };

  type Pair = {
    readonly now: NowStep;
    readonly old: StepKey;
    readonly index: number;
    readonly oldIndex: number;
    readonly isRoot: boolean;
  };

  const compareInput = (pair: Pair): readonly Leaf[] => {
    const { now, old, index, oldIndex } = pair;
    const [content, oldContent] = [now.contents[index] ?? null, old.contents[oldIndex] ?? null];
    if (content !== null && content === oldContent) return [];
    const { source, vertex } = now.from[index] ?? { source: null, vertex: now.vertex };
    if (source !== null) {
      const changes = content === null || oldContent === null ? [] : compareFiles(known, [oldContent, content], source);
      return changes.map((change) => leafOf(now.vertex, change));
    }
    const [key, oldKey] = [resultOf(now.inputs[index]), resultOf(old.inputs[oldIndex])];
    if (key === undefined || oldKey === undefined || key === oldKey) return [];
    const input = known.step(vertex);
    const found = input && nearest.ofResult(input, oldKey);
    if (input === undefined || found === undefined) return [leafOf(input?.vertex ?? now.vertex, unknownCause)];
    const moved = pair.isRoot ? insertedOrRemoved({ ...pair, input, oldInput: found.key }) : undefined;
    if (moved !== undefined) return [moved];
    const below = compare(input, found.key, found.build);
    if (below.length > 0 || content === null || oldContent === null) return below;
    return compareFiles(known, [oldContent, content], `stage ${input.stage ?? ''}`.trim()).map((change) => leafOf(now.vertex, change));
  };

  /** Does the step stand on the same result as before but for instructions that came or went in between? */
  const insertedOrRemoved = ({
    now,
    input,
    oldInput,
  }: Pair & { readonly input: NowStep; readonly oldInput: StepKey }): Leaf | undefined => {
    let inserted: NowStep | undefined = input;
    for (let count = 0; inserted !== undefined && count < longestInsertion; count++) {
      const below = rootInput(inserted);
      if (below !== undefined && resultOf(inserted.inputs[below]) === oldInput.recordKey) {
        return leafOf(inserted.vertex, instruction(inserted, 'added'));
      }
      const next: Digest | undefined = below === undefined ? undefined : inserted.from[below]?.vertex;
      inserted = next === undefined ? undefined : known.step(next);
    }
    let removed: StepKey | undefined = oldInput;
    for (let count = 0; removed !== undefined && count < longestInsertion; count++) {
      const below = rootInput(removed);
      const key: CacheKey | undefined = below === undefined ? undefined : resultOf(removed.inputs[below]);
      if (key !== undefined && key === input.recordKey) return leafOf(now.vertex, instruction(removed, 'removed'));
      removed = key === undefined ? undefined : nearest.newestOf(key);
    }
    return undefined;
  };

  const isFetched = (now: NowStep): boolean => now.state === 'ran' && isSource(now) && known.evicted(now.key) === undefined;
  const lost = (now: NowStep, build: EarlierBuild): Change => {
    const old = nearest.stepIn(build, now.key);
    return lostResult(now.key, build, { ...known, recordKey: old?.recordKey, state: old?.state });
  };
  return compare;
}

function instruction(step: StepKey, change: 'added' | 'removed'): Change {
  const words = step.written ?? step.text;
  return {
    class: 'instruction',
    object: step.text.split('\n', 1)[0] ?? '',
    change,
    ...(change === 'added' ? { after: words } : { before: words }),
  };
}

function compareFiles(known: Known, [before, after]: readonly [CacheKey, CacheKey], from: string): readonly Change[] {
  const [old, now] = [known.filesOf(before), known.filesOf(after)];
  const changes = old === undefined || now === undefined ? [] : compareFileLists(old, now);
  if (changes.length === 0) return [{ class: 'file', object: '', change: 'content', from }];
  return changes.map(({ path, ...rest }) => ({ class: 'file', object: path, from, ...rest }));
}

function resultOf(input: KeyInput | undefined): CacheKey | undefined {
  return input !== undefined && 'result' in input ? input.result : undefined;
}

function rootInput(key: StepKey): number | undefined {
  return rolesOf(key).get('root');
}

/** Which input serves for what: `root`, `layer`, `copy 0`, `mount /target`. */
function rolesOf(key: StepKey): ReadonlyMap<string, number> {
  const roles = new Map<string, number>();
  const add = (role: string, index: unknown): void => void (typeof index === 'number' && roles.set(role, index));
  if (key.op['kind'] === 'merge') {
    // A layer put over what the stage has.
    add('root', 0);
    add('layer', 1);
    return roles;
  }
  add('root', key.op['root'] ?? key.op['base']);
  for (const [index, action] of listOf(key.op['actions']).entries()) add(`copy ${index}`, action['input']);
  for (const mount of listOf(key.op['mounts'])) add(`mount ${JSON.stringify(mount['target'] ?? '')}`, mount['input']);
  return roles;
}

function distinct(leaves: readonly Leaf[]): readonly Leaf[] {
  return [...new Map(leaves.map((leaf) => [leaf.id, leaf])).values()];
}

function leafOf(vertex: Digest, change: Change): Leaf {
  return { vertex, change, id: `${vertex} ${JSON.stringify(change)}` };
}

/** Leaves come with the nearest first. */
function nearAndFar(leaves: readonly Leaf[]): readonly Leaf[] {
  return leaves.length <= mostCauses ? leaves : [...leaves.slice(0, mostCauses / 2), ...leaves.slice(-mostCauses / 2)];
}

/** A key that is asked for many times is read once. */
function withMemory(known: Known): Known {
  const keys = new Map<CacheKey, StepKey | undefined>();
  return {
    ...known,
    keyOf: (key) => {
      if (!keys.has(key)) keys.set(key, known.keyOf(key));
      return keys.get(key);
    },
  };
}
