/** Why steps ran again, in words. */
import type { BuildEnd } from '#engine/build-requests.ts';
import type { Why, WhyChange, WhyRoot } from '#engine/past-build-requests.ts';
import { formatDuration } from '#ground/base/human.ts';
import { harmless } from './text.ts';

const mostLines = 5;

/** The last lines of a build: one a root. Empty when nothing like it was built before, or nothing ran; what was never seen surprises nobody. */
export function whyLines(why: Why | undefined, dockerfile: string): readonly string[] {
  if (why === undefined) return [];
  const again = why.roots.filter((root) => root.changes.some((change) => change.class !== 'never-seen'));
  const roots = again.toSorted((a, b) => b.cost + b.behindCost - a.cost - a.behindCost);
  const lines = roots.slice(0, mostLines).map((root) => `why: ${rootLine(root, dockerfile)}`);
  const more = roots.length - lines.length;
  return more > 0 ? [...lines, `why: ${more} more cause${more === 1 ? '' : 's'}: see "jettison why"`] : lines;
}

const mostUnreached = 3;

/** `not reached: 4 steps: RUN make (Dockerfile:9), ...`, behind a step that failed; none for none. */
export function unreachedLines(steps: NonNullable<BuildEnd['unreached']>, dockerfile: string): readonly string[] {
  if (steps.length === 0) return [];
  const names = steps.slice(0, mostUnreached).map((step) => stepText(step, dockerfile));
  const more = steps.length > names.length ? ', ...' : '';
  return [`not reached: ${steps.length} step${steps.length === 1 ? '' : 's'}: ${names.join(', ')}${more}`];
}

/** `COPY src . (Dockerfile:7) ran again: src/a.c changed (content); cost 12.3s with 4 steps behind it`. */
export function rootLine(root: WhyRoot, dockerfile: string): string {
  const [first] = root.changes;
  const others = root.changes.length - 1 + root.more;
  const what = first === undefined ? 'nobody knows why' : changeText(first);
  const rest = others > 0 ? ` and ${others} more change${others === 1 ? '' : 's'}` : '';
  const isNew = first?.class === 'never-seen' || first?.class === 'cache' || (first?.class === 'instruction' && first.change === 'added');
  const verb = root.wasKnown ? 'is another one' : isNew ? 'ran' : 'ran again';
  return `${stepText(root, dockerfile)} ${verb}: ${what}${rest}${costText(root)}`;
}

export function stepText(step: Pick<WhyRoot, 'text' | 'stage' | 'line'>, dockerfile: string): string {
  const text = oneLine(step.text, 60);
  const place = step.line === null ? '' : ` (${dockerfile}:${step.line})`;
  return `${text}${place}`;
}

function costText({ cost, behind, behindCost }: WhyRoot): string {
  const steps = behind === 0 ? '' : ` with ${behind} step${behind === 1 ? '' : 's'} behind it`;
  return `; cost ${formatDuration(cost + behindCost)}${steps}`;
}

/** What changed, in one line. */
export function changeText(change: WhyChange): string {
  const { object, before, after } = change;
  const name = oneLine(object, 120);
  const values = valuesText(before, after);
  switch (change.class) {
    case 'file': {
      const from = change.from === undefined || change.from === 'context' ? '' : ` of ${oneLine(change.from, 80)}`;
      if (name === '') return `the files${from === '' ? ' of the build context' : from} changed`;
      if (change.change === 'added' || change.change === 'removed') return `${name}${from} was ${change.change}`;
      return `${name}${from} changed (${change.change}${change.change === 'content' ? '' : values})`;
    }
    case 'instruction':
      if (change.change === 'added') return 'the instruction is new';
      return change.change === 'removed' ? `"${name}" was removed before it` : `the instruction changed${valuesText(before, after)}`;
    case 'argument':
      return `ARG ${name} ${happened(change)}${values}`;
    case 'environment':
      return change.change === 'order' ? `the order of ENV changed${values}` : `ENV ${name} ${happened(change)}${values}`;
    case 'shell':
    case 'user':
    case 'working-directory':
      return `${name} changed${values}`;
    case 'mount':
      return `the mount at ${name} ${happened(change)}${values}`;
    case 'option':
      return `the option "${name}" changed${values}`;
    case 'base-image':
      if (change.change === 'added' || change.change === 'removed') return `the base image was ${change.change}`;
      return `the base image ${name} changed${values}`;
    case 'platform':
      return `the platform of ${name} changed${values}`;
    case 'forced':
      return `${name} was given`;
    case 'evicted':
      return after === undefined ? `its result is ${name}` : `its result was removed from the cache at ${after}: ${name}`;
    case 'failed':
      return 'it failed the last time';
    case 'cache':
      return cacheText(change);
    case 'never-seen':
      if (change.from !== undefined) return `it was never seen here, and the imported cache ${oneLine(change.from, 120)} does not say`;
      return name === '' ? 'it was never seen' : `stage ${name} was never seen`;
    case 'unknown':
      return 'what it was built on is no longer remembered';
    default:
      return name;
  }
}

function cacheText({ object, change, after = '' }: WhyChange): string {
  const cache = `the cache ${oneLine(object, 120)}`;
  switch (change) {
    case 'missing':
      return `${cache} is not there (yet): ${oneLine(after, 200)}`;
    case 'unreachable':
      return `${cache} could not be reached: ${oneLine(after, 200)}`;
    case 'damaged':
      return `${cache} is damaged: ${oneLine(after, 200)}`;
    default:
      return `${cache} does not have its result${after === '' ? '' : ` (it was exported with ${oneLine(after, 20)})`}`;
  }
}

function happened({ change }: WhyChange): string {
  return change === 'changed' ? 'changed' : `was ${change}`;
}

function valuesText(before: string | undefined, after: string | undefined): string {
  if (before === undefined && after === undefined) return '';
  if (before === undefined) return `: ${value(after)}`;
  return after === undefined ? '' : `: ${value(before)} -> ${value(after)}`;
}

function value(text = ''): string {
  return text === '' ? '""' : oneLine(text, 100);
}

function oneLine(text: string, length: number): string {
  const line = harmless(text.replaceAll(/\s*\\?\n\s*/gu, ' ').trim(), false);
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}
