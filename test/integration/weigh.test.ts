/** What steps weigh, on real snapshots: random builds of several stages against a model that knows where each file was made. */
import assert from 'node:assert/strict';
import { chmodSync, linkSync, mkdirSync, mkdtempDisposableSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { openFileThread, runFile } from '#execution/ops/file.ts';
import { weighSteps } from '#execution/ops/weigh.ts';
import { imageChain } from '#formats/origins/chain.ts';
import type { OriginAction, OriginOp, OriginStep } from '#formats/origins/record.ts';
import type { FileAction, FileOp } from '#formats/graph/op.ts';
import { parseSnapshotId, type SnapshotId } from '#stores/snapshot/contract.ts';
import { openSnapshotStore } from '#stores/snapshot/store.ts';
import { writeSnapshot } from '#test/kit/snapshots.ts';
import { randomRuns } from '#test/kit/random.ts';

const signal = new AbortController().signal;

/** Files are in one of these folders, so that no file meets a folder. */
const folders = ['a', 'b', 'c'] as const;
const path = fc.tuple(fc.constantFrom(...folders), fc.constantFrom('f0', 'f1', 'f2')).map((names) => names.join('/'));
const folder = fc.constantFrom(...folders);

const change = fc.oneof(
  fc.record({ do: fc.constant('write' as const), path, size: fc.integer({ min: 1, max: 5000 }) }),
  fc.record({ do: fc.constant('write' as const), path, size: fc.integer({ min: 1, max: 5000 }) }),
  fc.record({ do: fc.constant('remove' as const), path }),
  fc.record({ do: fc.constant('dress' as const), path, mode: fc.constantFrom(0o600, 0o640) }),
  fc.record({ do: fc.constant('link' as const), path, to: path }),
);
const stepPlan = fc.oneof(
  fc.record({ do: fc.constant('run' as const), changes: fc.array(change, { minLength: 1, maxLength: 6 }) }),
  fc.record({
    do: fc.constant('copy' as const),
    stage: fc.nat(),
    what: fc.oneof(
      fc.record({ from: folder, to: folder, into: fc.constant('folder' as const) }),
      fc.record({ from: path, to: folder, into: fc.constant('folder' as const) }),
      fc.record({ from: path, to: path, into: fc.constant('file' as const) }),
    ),
    isOwned: fc.boolean(),
    text: fc.option(fc.record({ path, size: fc.integer({ min: 0, max: 300 }) }), { nil: undefined, freq: 4 }),
  }),
);
const buildPlan = fc.array(
  fc.record({ base: fc.option(fc.nat(), { nil: undefined }), steps: fc.array(stepPlan, { minLength: 2, maxLength: 4 }) }),
  {
    minLength: 3,
    maxLength: 4,
  },
);
type StepPlan = typeof stepPlan extends fc.Arbitrary<infer T> ? T : never;

/** A file as it was made: `place` is that of the step. */
type Unit = { readonly place: number; readonly size: number };
/** A file with its names: what was copied of two files of one making is two. */
type Inode = { readonly unit: Unit };
type Files = Map<string, Inode>;
/** What is known of a stage's last step: where it is, and all files that are seen there. */
type State = { readonly place: number | undefined; readonly files: Files };

test('built is what steps made, carried what of it is in the image, whatever is copied where', async () => {
  await using stack = new AsyncDisposableStack();
  const temporary = stack.use(mkdtempDisposableSync('/tmp/jettison-weigh-'));
  const snapshots = stack.use(await openSnapshotStore({ folder: join(temporary.path, 'store'), now: () => 1_790_000_000_000 }));
  const tools = { snapshots, thread: stack.use(openFileThread()) };
  let jettisoned = 0;
  let copiedTwice = 0;
  await fc.assert(
    fc.asyncProperty(buildPlan, async (plan) => {
      const steps: OriginStep[] = [];
      const layers: Files[] = [];
      const states: State[] = [];
      const add = (op: OriginOp, inputs: number[], snapshot: SnapshotId, written: Files): number => {
        layers.push(written);
        return steps.push({ text: 'x', stage: `${states.length}`, line: 1, lastLine: 1, op, inputs, snapshot }) - 1;
      };
      const snapshotAt = (place: number | undefined): SnapshotId | undefined =>
        place === undefined ? undefined : parseSnapshotId(steps[place]?.snapshot ?? '');
      const make = async (step: StepPlan, { place: below, files: seen }: State): Promise<State> => {
        const files = new Map(seen);
        const written: Files = new Map();
        const own = steps.length;
        const put = (name: string, inode: Inode): void => void (files.set(name, inode), written.set(name, inode));
        if (step.do === 'run') {
          const snapshot = await writeSnapshot(snapshots, snapshotAt(below), (root) => {
            for (const one of folders) mkdirSync(join(root, one), { recursive: true });
            for (const one of step.changes) {
              const host = join(root, one.path);
              const known = files.get(one.path);
              if (one.do === 'write') {
                rmSync(host, { force: true });
                writeFileSync(host, 'x'.repeat(one.size));
                put(one.path, { unit: { place: own, size: one.size } });
              } else if (known === undefined) continue;
              else if (one.do === 'remove') {
                rmSync(host);
                files.delete(one.path);
                written.delete(one.path);
              } else {
                // The kernel copies up what lies below; other names of it there stay what they were.
                const mine = written.get(one.path) ?? { unit: { place: own, size: known.unit.size } };
                if (one.do === 'dress') chmodSync(host, one.mode);
                else if (one.path !== one.to) {
                  rmSync(join(root, one.to), { force: true });
                  linkSync(host, join(root, one.to));
                  put(one.to, mine);
                } else continue;
                put(one.path, mine);
              }
            }
          });
          return {
            place: add({ kind: 'run', root: below === undefined ? null : 0 }, below === undefined ? [] : [below], snapshot, written),
            files,
          };
        }
        const from = states[step.stage % Math.max(1, states.length)];
        const source = from?.place;
        const { to, into } = step.what;
        if (from === undefined || source === undefined || from.files.size === 0) return { place: below, files };
        // What is not there would be an error: then another of its kind is copied.
        const asked = step.what.from;
        const names = asked.includes('/') ? [...from.files.keys()] : [...from.files.keys()].map((name) => name.slice(0, 1));
        const wanted = names.includes(asked) ? asked : (names[asked.charCodeAt(0) % names.length] ?? '');
        const isFolder = !wanted.includes('/');
        const inputs = [...(below === undefined ? [] : [below]), source];
        const copy: FileAction = {
          kind: 'copy',
          input: inputs.length - 1,
          sources: [`/${wanted}`],
          wildcards: true,
          destination: `/${to}`,
          destinationIsFolder: into === 'folder',
          owner: step.isOwned ? '7:7' : null,
          mode: null,
          unpack: false,
          exclude: [],
          parents: false,
        };
        const copies = new Map<Inode, Inode>();
        for (const [name, inode] of from.files) {
          const copied = copies.get(inode) ?? { unit: inode.unit };
          copies.set(inode, copied);
          if (isFolder && name.startsWith(`${wanted}/`)) put(`${to}${name.slice(wanted.length)}`, copied);
          else if (name === wanted) put(into === 'file' ? to : `${to}/${name.slice(2)}`, copied);
        }
        const actions: FileAction[] = [copy];
        if (step.text !== undefined) {
          const { path: at, size } = step.text;
          actions.push({
            kind: 'write-file',
            path: `/${at}`,
            name: 'x',
            destinationIsFolder: false,
            text: 'y'.repeat(size),
            mode: null,
            owner: null,
          });
          put(at, { unit: { place: own, size } });
        }
        const op: FileOp = { kind: 'file', base: below === undefined ? null : 0, actions };
        const trees = inputs.map((place) => ({ kind: 'snapshot' as const, snapshot: parseSnapshotId(steps[place]?.snapshot ?? '') }));
        const snapshot = await runFile({ op, inputs: trees }, tools, () => undefined, signal);
        return { place: add({ ...op, actions: actions.map(recorded) }, inputs, snapshot, written), files };
      };
      for (const { base, steps: planned } of plan) {
        const under = base === undefined || states.length === 0 ? undefined : states[base % states.length];
        let state: State = under ?? { place: undefined, files: new Map() };
        for (const step of planned) state = await make(step, state);
        states.push(state);
      }
      const goal = states.at(-1)?.place;
      if (goal === undefined) return;
      // The goal is the last step of a record; what comes after it belongs to no image.
      const record = { steps: steps.slice(0, goal + 1), layers: [] };
      const weights = weighSteps({ record, largest: 5 }, snapshots, signal);
      const shipped = imageChain(record).layers;
      const carried = new Set(shipped.flatMap((place) => unitsIn(layers[place])));
      for (const place of record.steps.keys()) {
        const made = sum(new Set(unitsIn(layers[place]).filter((unit) => unit.place === place)));
        const kept = sum(new Set([...carried].filter((unit) => unit.place === place)));
        assert.equal(weights?.steps[place]?.made, made, `made by ${place}`);
        assert.equal(weights?.steps[place]?.carried, kept, `carried of ${place}`);
        jettisoned += made - kept;
      }
      const all = shipped.flatMap((place) => [...new Set(layers[place]?.values() ?? [])]);
      copiedTwice += all.length - carried.size;
      const largest = all.map(({ unit }) => unit.size).toSorted((a, b) => b - a);
      assert.deepEqual(
        weights?.files.map(({ bytes }) => bytes),
        largest.slice(0, 5),
      );
      for (const { path: at, step, origin } of weights?.files ?? [])
        assert.equal(layers[step]?.get(at.slice(1))?.unit.place, origin.step, at);
    }),
    randomRuns(60),
  );
  // The plans were worth it.
  assert.ok(jettisoned > 0 && copiedTwice > 0, `${jettisoned} ${copiedTwice}`);
});

function unitsIn(files: Files | undefined): readonly Unit[] {
  return [...(files?.values() ?? [])].map(({ unit }) => unit);
}

function sum(units: ReadonlySet<Unit>): number {
  return [...units].reduce((all, { size }) => all + size, 0);
}

function recorded(action: FileAction): OriginAction {
  if (action.kind === 'copy') {
    const { libs: _, ...copy } = action;
    return { ...copy, sources: [...action.sources], exclude: [...action.exclude] };
  }
  if (action.kind === 'make-folder') return action;
  const { text: _, ...rest } = action;
  return rest;
}
