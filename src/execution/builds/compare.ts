/** What differs in the ops of two keys of a step, in the words of the Dockerfile. What they read of their inputs is compared elsewhere (`explain.ts`). */
import type { Json } from '#ground/base/canonical-json.ts';
import { canonicalJson } from '#ground/base/canonical-json.ts';
import type { Change } from './past-build.ts';
import { isHidden, splitVariable } from './hide.ts';
import type { OpMembers, StepKey } from './step-key.ts';

/** The likeliest cause first. Empty when the ops are equal. */
export function compareOps(before: StepKey, now: StepKey): readonly Change[] {
  if (before.op['kind'] !== now.op['kind']) return [instructionChange(before, now)];
  if (now.op['kind'] === 'source-image') return compareImages(before, now);
  if (now.op['kind'] === 'source-git' && isSame(before.op, now.op) && before.base !== now.base) {
    return [{ class: 'file', object: '', change: 'content', from: text(now.op['remote']) }];
  }
  return now.op['kind'] === 'exec' ? compareExec(before, now) : compareFileOps(before, now);
}

function instructionChange(before: StepKey, now: StepKey): Change {
  const [from, to] = [before.written ?? before.text, now.written ?? now.text];
  return { class: 'instruction', object: firstLine(now.text), change: 'changed', before: from, after: to };
}

function compareImages(before: StepKey, now: StepKey): readonly Change[] {
  if (before.base === now.base) return [];
  const [oldName, newName] = [text(before.op['name']), text(now.op['name'])];
  const [oldDigest, newDigest] = [text(before.op['manifest']), text(now.op['manifest'])];
  if (before.platform !== now.platform && before.platform !== null && now.platform !== null) {
    return [{ class: 'platform', object: newName, change: 'changed', before: before.platform, after: now.platform }];
  }
  const isOther = oldName !== newName;
  const [from, to] = isOther ? [`${oldName}@${oldDigest}`, `${newName}@${newDigest}`] : [oldDigest, newDigest];
  return [{ class: 'base-image', object: newName, change: isOther ? 'changed' : 'digest', before: from, after: to }];
}

function compareExec(before: StepKey, now: StepKey): readonly Change[] {
  const changes: Change[] = [];
  const isRewritten = before.written !== now.written;
  const mounts = compareMounts(before.op, now.op);
  if (!isSame(before.op['arguments'], now.op['arguments'])) {
    const shells = [shellOf(before), shellOf(now)];
    if (!isRewritten && shells[0] !== shells[1]) {
      changes.push({ class: 'shell', object: 'SHELL', change: 'changed', before: shells[0] ?? '', after: shells[1] ?? '' });
    } else changes.push(instructionChange(before, now));
  }
  changes.push(...compareVariables(before, now, [entriesOf(before), entriesOf(now)]), ...compareSettings(before, now), ...mounts);
  const known = new Set(['kind', 'root', 'arguments', 'environment', 'user', 'workingDirectory', 'mounts']);
  changes.push(...compareOptions(before.op, now.op, known));
  return changes;
}

function compareFileOps(before: StepKey, now: StepKey): readonly Change[] {
  if (isSame(before.op, now.op)) return [];
  if (before.written !== now.written) return [instructionChange(before, now)];
  const variables = compareVariables(before, now, [new Map(Object.entries(before.variables)), new Map(Object.entries(now.variables))]);
  if (variables.length > 0) return variables;
  const [old, fresh] = [actionsOf(before.op), actionsOf(now.op)];
  for (const name of ['destination', 'path']) {
    const [from, to] = [old, fresh].map((actions) => text(actions.find((action) => name in action)?.[name]));
    if (from !== to) return [{ class: 'working-directory', object: 'WORKDIR', change: 'changed', before: from ?? '', after: to ?? '' }];
  }
  const [from, to] = [old, fresh].map((actions) => text(actions[0]?.['owner']));
  if (from !== to && text(now.written).toUpperCase().startsWith('WORKDIR')) {
    return [{ class: 'user', object: 'USER', change: 'changed', before: from ?? '', after: to ?? '' }];
  }
  return [instructionChange(before, now)];
}

/** User and working directory: empty ones are those that an image without the instruction has. */
function compareSettings(before: StepKey, now: StepKey): readonly Change[] {
  const settings = [
    ['user', 'user', 'USER'],
    ['workingDirectory', 'working-directory', 'WORKDIR'],
  ] as const;
  return settings.flatMap(([member, kind, object]) => {
    const [from, to] = [text(before.op[member]), text(now.op[member])];
    return from === to ? [] : [{ class: kind, object, change: 'changed', before: from, after: to }];
  });
}

/** A variable that holds the value of a changed argument follows it and is no cause of its own. */
function compareVariables(
  before: StepKey,
  now: StepKey,
  [old, fresh]: readonly [ReadonlyMap<string, string>, ReadonlyMap<string, string>],
): readonly Change[] {
  const isArgument = (name: string): boolean => now.argumentNames.includes(name) || before.argumentNames.includes(name);
  const changes: Change[] = [];
  for (const name of new Set([...old.keys(), ...fresh.keys()])) {
    const [from, to] = [old.get(name), fresh.get(name)];
    if (from === to) continue;
    changes.push({
      class: isArgument(name) ? 'argument' : 'environment',
      object: name,
      change: from === undefined ? 'added' : to === undefined ? 'removed' : 'changed',
      ...(from === undefined ? {} : { before: shown(from) }),
      ...(to === undefined ? {} : { after: shown(to) }),
    });
  }
  const causes = changes.filter((change) => change.class === 'argument');
  const own = changes.filter((change) => change.class !== 'argument' && !causes.some((cause) => follows(change, cause)));
  if (changes.length === 0 && [...old.keys()].join('\0') !== [...fresh.keys()].join('\0')) {
    return [
      { class: 'environment', object: 'ENV', change: 'order', before: [...old.keys()].join(' '), after: [...fresh.keys()].join(' ') },
    ];
  }
  return [...causes, ...own];
}

function follows(change: Change, { before = '', after = '' }: Change): boolean {
  if (change.before === undefined || change.after === undefined || before === '') return false;
  return change.before !== change.after && change.before.replaceAll(before, after) === change.after;
}

function shown(value: string): string {
  return isHidden(value) ? '(hidden)' : value;
}

function compareMounts(before: OpMembers, now: OpMembers): readonly Change[] {
  const [old, fresh] = [mountsOf(before), mountsOf(now)];
  const changes: Change[] = [];
  for (const target of new Set([...old.keys(), ...fresh.keys()])) {
    const [from, to] = [old.get(target), fresh.get(target)];
    if (from === to) continue;
    changes.push({
      class: 'mount',
      object: target,
      change: from === undefined ? 'added' : to === undefined ? 'removed' : 'changed',
      ...(from === undefined ? {} : { before: from }),
      ...(to === undefined ? {} : { after: to }),
    });
  }
  return changes;
}

/** By target; which input a mount reads is no part of it. */
function mountsOf(op: OpMembers): ReadonlyMap<string, string> {
  return new Map(
    listOf(op['mounts']).map((mount) => {
      const { input: _input, ...rest } = mount;
      const target = text(mount['target']) || text(mount['variable']) || text(mount['id']);
      return [target, canonicalJson(rest)] as const;
    }),
  );
}

function compareOptions(before: OpMembers, now: OpMembers, known: ReadonlySet<string>): readonly Change[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])].filter((name) => !known.has(name));
  return names.flatMap((name) => {
    const [from, to] = [before[name], now[name]];
    if (isSame(from, to)) return [];
    return [{ class: 'option', object: name, change: 'changed', before: printed(from), after: printed(to) }];
  });
}

function actionsOf(op: OpMembers): readonly OpMembers[] {
  return listOf(op['actions']);
}

function entriesOf(key: StepKey): ReadonlyMap<string, string> {
  const environment = key.op['environment'];
  const entries = Array.isArray(environment) ? environment.map((entry: Json) => splitVariable(text(entry))) : [];
  return new Map(entries);
}

/** All but the last argument: the shell where the command is a line of one. */
function shellOf(key: StepKey): string {
  const words = key.op['arguments'];
  return Array.isArray(words)
    ? words
        .slice(0, -1)
        .map((word: Json) => text(word))
        .join(' ')
    : '';
}

/** The members of a list that are objects. */
export function listOf(value: Json | undefined): readonly OpMembers[] {
  if (!Array.isArray(value)) return [];
  return value.filter((item: Json): item is OpMembers => item !== null && typeof item === 'object' && !Array.isArray(item));
}

function isSame(a: Json | undefined, b: Json | undefined): boolean {
  return canonicalJson(a ?? null) === canonicalJson(b ?? null);
}

function printed(value: Json | undefined): string {
  return typeof value === 'string' ? value : canonicalJson(value ?? null);
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

function firstLine(value: string): string {
  return value.split('\n', 1)[0] ?? '';
}
