import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { cacheKey, contentKeyOf, type CacheKey } from '#execution/cache/key.ts';
import type { CacheRecord } from '#execution/cache/records.ts';
import { cancelled } from '#ground/base/abort.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { createVertex, neededFor, opDigest, outputOf, type Label, type Vertex } from '#formats/graph/vertex.ts';
import type { ProgressEvent } from '#formats/progress/event.ts';
import type { CacheLookup, OpDriver, Result, Solved } from './contract.ts';
import { solve } from './solve.ts';
import { randomRuns } from '#test/kit/random.ts';

/** Ops of a small world: `context` is never cached; `all` reads its inputs whole; `part` reads input 0 whole and one bit of the others, `bits` one bit of each. */
type Kind = 'context' | 'all' | 'part' | 'bits';
/** `unkeyed`: it may run before what it reads of contexts is known. */
type Node = { readonly kind: Kind; readonly inputs: readonly number[]; readonly unkeyed?: boolean };

/**
 * Real builds in memory: an op's output is a number made from what it reads. Outputs are kept by result id, as a snapshot store keeps them,
 * and every run is checked: once a build, with the inputs' outputs of this very world, never more than `jobs` at once.
 */
function createWorld(graph: readonly Node[]) {
  const vertices: Vertex[] = [];
  for (const [index, node] of graph.entries()) {
    const op = { kind: 'source-local', name: `${node.kind} ${index}` } as const;
    const inputs = node.inputs.flatMap((input) => vertices.slice(input, input + 1).map(outputOf));
    vertices.push(createVertex(op, inputs, { text: `vertex ${index}` }));
  }
  const indexOf = new Map(vertices.map((vertex, index) => [vertex.digest, index]));
  const sources = new Map<number, number>();
  const outputs = new Map<string, number>();
  const keys = new Map<CacheKey, CacheRecord>();
  const shapes = new Set<CacheKey>();
  const events: ProgressEvent[] = [];
  const world = {
    vertices,
    sources,
    outputs,
    keys,
    events,
    ran: [] as number[],
    checked: [] as number[],
    /** What must not happen; collected, because an error after the first failure of a build is not seen. */
    wrong: [] as string[],
    finished: new Set<number>(),
    running: 0,
    mostRunning: 0,
    /** How many turns of the event loop each run takes. */
    delays: [] as readonly number[],
    failing: new Set<number>(),
    /** These say that they cannot run. */
    lacking: new Set<number>(),
    deaf: false,
    /** Asked for more records. */
    more: undefined as (() => boolean) | undefined,
    onRun: (_index: number): void => {},
    hasStopped: (): boolean => events.some(({ kind }) => kind === 'vertex-failed'),
    clock: 0,
    cache: {
      find: (key) => keys.get(key),
      save: (key, record) => {
        if (world.hasStopped()) world.wrong.push('a result was kept after the build had stopped');
        const first = keys.get(key) ?? record;
        keys.set(key, first);
        return first;
      },
      replace: (key, record) => void keys.set(key, record),
      knowsShape: (shape) => shapes.has(shape),
      keepShape: (shape) => void shapes.add(shape),
    } satisfies CacheLookup as CacheLookup,
    expected: (index: number): number => {
      const node = graph[index]!;
      if (node.kind === 'context') return sources.get(index) ?? 0;
      return outputOfRun(
        index,
        node.inputs.map((input) => world.expected(input)),
      );
    },
    evict: (choice: (id: string) => boolean) => {
      const gone = new Set([...outputs.keys()].filter(choice));
      for (const [key, record] of keys) if (gone.has(record.resultId)) keys.delete(key);
      for (const id of gone) outputs.delete(id);
    },
    costs: undefined as ReadonlyMap<string, number> | undefined,
    build: async (goal: number, jobs = 4, signal = new AbortController().signal): Promise<Solved> => {
      world.ran = [];
      world.checked = [];
      world.finished.clear();
      world.mostRunning = 0;
      events.length = 0;
      const now = () => ++world.clock;
      const edge = outputOf(vertices[goal]!);
      try {
        const more = world.more;
        const elsewhere = more === undefined ? {} : { moreRecords: async () => await Promise.resolve(more()) };
        const { costs } = world;
        const known = costs === undefined ? {} : { costs: () => costs };
        const request = { goals: [edge], driverFor, cache: world.cache, jobs, now, ...elsewhere, ...known };
        const solved = await solve(request, (event) => events.push(event), signal);
        for (const index of world.checked) assert.ok(world.ran.includes(index), `${index} was certain to run, but did not`);
        return solved;
      } finally {
        assert.deepEqual(world.wrong, []);
        assert.equal(world.running, 0, 'an op was left running');
        assert.ok(world.mostRunning <= jobs, 'too many ran at once');
      }
    },
  };
  const read = (index: number, input: number, value: number): number => (readsBit(graph, index, input) ? value % 2 : value);
  const outputOfRun = (index: number, inputs: readonly number[]): number =>
    inputs.reduce((sum, value, input) => (sum * 31 + read(index, input, value) + 7) % 1009, index + 1);

  const driverFor = (vertex: Vertex): OpDriver => {
    const index = indexOf.get(vertex.digest)!;
    const node = graph[index]!;
    const driver: OpDriver = {
      caching: node.kind === 'context' ? 'never' : 'by-definition',
      cacheBase: async () => opDigest(vertex.op),
      contentKey: async (input: number, result: Result) => {
        const value = outputs.get(result.id);
        assert.ok(value !== undefined, 'a content key was asked of a result that is gone');
        if (!readsBit(graph, index, input) && graph[node.inputs[input]!]!.kind !== 'context') return undefined;
        return contentKeyOf(digestOf(`${read(index, input, value)}`));
      },
      readsContent: (input) => readsBit(graph, index, input),
      check: () => {
        if (world.ran.some((each) => graph[each]!.kind !== 'context')) world.wrong.push(`${index} was checked after something ran`);
        world.checked.push(index);
        if (world.lacking.has(index)) throw new JettisonError('test/lacking', `vertex ${index} lacks something`);
      },
      run: async (results, signal) => {
        world.onRun(index);
        if (world.ran.includes(index)) world.wrong.push(`${index} ran twice`);
        world.ran.push(index);
        if (node.kind !== 'context') world.mostRunning = Math.max(world.mostRunning, ++world.running);
        try {
          const inputs = results.map((result) => outputs.get(result.id));
          if (!isDeepStrictEqual(inputs, node.inputs.map(world.expected))) world.wrong.push(`${index} ran on ${inputs.join(' ')}`);
          for (let turn = world.delays[index] ?? 0; turn > 0; turn--) {
            await new Promise(setImmediate);
            if (!world.deaf) signal.throwIfAborted();
          }
          if (world.failing.has(index)) throw new JettisonError('test/broken', `vertex ${index} is broken`);
          const id = `result ${outputs.size} ${++world.clock}`;
          outputs.set(id, world.expected(index));
          world.finished.add(index);
          return { id };
        } finally {
          if (node.kind !== 'context') world.running--;
        }
      },
    };
    if (node.unkeyed !== true) return driver;
    const runUnkeyed: OpDriver['runUnkeyed'] = async (results, signal) => {
      const contents = node.inputs.map((input, position) =>
        graph[input]!.kind === 'context' ? contentKeyOf(digestOf(`${read(index, position, world.expected(input))}`)) : undefined,
      );
      return { result: await driver.run(results, signal), contents };
    };
    return { ...driver, mayRunUnkeyed: () => true, runUnkeyed };
  };
  return world;
}
type World = ReturnType<typeof createWorld>;

/** Dense graphs over one or more sources, so that triangles and diamonds are common and a change goes far. */
const graphs: fc.Arbitrary<readonly Node[]> = fc
  .array(
    fc.record({
      kind: fc.constantFrom<Kind>('context', 'all', 'all', 'part', 'part', 'bits'),
      picks: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
      unkeyed: fc.boolean(),
    }),
    { maxLength: 8 },
  )
  .map((nodes) => [
    { kind: 'context', inputs: [] },
    ...nodes.map(({ kind, picks, unkeyed }, before) => ({
      kind,
      unkeyed,
      inputs: kind === 'context' ? [] : picks.map((pick) => Math.max(0, before - (pick % 3))),
    })),
  ]);
const delays = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 9, maxLength: 9 });
const jobCounts = fc.integer({ min: 1, max: 4 });
/** Each change sets a source; some are even, so that ops that read one bit do not see them. */
const changes = fc.array(fc.record({ source: fc.nat(), value: fc.integer({ min: 0, max: 5 }), goal: fc.nat() }), {
  minLength: 1,
  maxLength: 5,
});

test('graphs of the generator have shared vertices and triangles', () => {
  const samples = fc.sample(graphs, { numRuns: 300, seed: 1 });
  const shared = samples.filter((graph) => graph.some((_, index) => graph.filter((node) => new Set(node.inputs).has(index)).length > 1));
  const triangles = samples.filter((graph) =>
    graph.some(({ inputs }) => inputs.some((input) => graph[input]!.inputs.some((below) => inputs.includes(below)))),
  );
  assert.ok(shared.length > 100, `${shared.length} of 300 share`);
  assert.ok(triangles.length > 60, `${triangles.length} of 300 have a triangle`);
});

test('each build runs exactly what no earlier build has made from the same things', async () => {
  await fc.assert(
    fc.asyncProperty(graphs, delays, jobCounts, changes, async (graph, delay, jobs, edits) => {
      const world = createWorld(graph);
      world.delays = delay;
      const seen = new Set<string>();
      for (const { source, value, goal } of edits) {
        const contexts = graph.flatMap(({ kind }, index) => (kind === 'context' ? [index] : []));
        if (contexts.length > 0) world.sources.set(contexts[source % contexts.length]!, value);
        const target = graph.length - 1 - (goal % Math.min(3, graph.length));
        const wanted = new Set<number>();
        const identity = identities(world, graph);
        for (const vertex of neededFor(outputOf(world.vertices[target]!))) {
          const index = world.vertices.findIndex(({ digest }) => digest === vertex.digest);
          if (graph[index]!.kind === 'context' || !seen.has(identity(index))) wanted.add(index);
          seen.add(identity(index));
        }
        const {
          results: [result],
        } = await world.build(target, jobs);
        assert.deepEqual(new Set(world.ran), wanted);
        assert.equal(world.outputs.get(result!.id), world.expected(target));
        checkEvents(world, target, 'done');
      }
    }),
    randomRuns(120),
  );
});

test('a second identical build runs nothing and reports every step cached, even where results below the goal are gone', async () => {
  await fc.assert(
    fc.asyncProperty(
      graphs,
      fc.nat({ max: 5 }),
      fc.array(fc.boolean(), { minLength: 9, maxLength: 18 }),
      async (graph, change, evicted) => {
        const world = createWorld(graph);
        const goal = graph.length - 1;
        await world.build(goal);
        world.sources.set(0, change);
        const first = await world.build(goal);
        // A record found by content is needed as the link from one key to the other: once it is gone, so is the goal's key.
        const links = [...first.vertices.values()].filter(
          ({ record, lookedUpBy }) => lookedUpBy[0] && record?.key !== cacheKey(lookedUpBy[0]),
        );
        const kept = new Set([first.results[0]!.id, ...links.flatMap(({ record }) => record?.resultId ?? [])]);
        const gone = [...world.outputs.keys()].filter((id, index) => evicted[index % evicted.length] === true && !kept.has(id));
        world.evict((id) => gone.includes(id));
        const second = await world.build(goal);
        assert.deepEqual(
          world.ran.filter((index) => graph[index]!.kind !== 'context'),
          [],
        );
        if (graph[goal]!.kind !== 'context') assert.equal(second.results[0]!.id, first.results[0]!.id);
        const told = new Map(
          world.events.flatMap((event) => (event.kind === 'vertex-cached' ? [[event.vertex, event.isSkipped ? 'skipped' : 'cached']] : [])),
        );
        for (const [digest, { state }] of second.vertices) assert.equal(told.get(digest) ?? 'ran', state);
      },
    ),
    randomRuns(80),
  );
});

test('results are right whatever was thrown away between builds', async () => {
  const throws = fc.array(fc.boolean(), { minLength: 30, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(graphs, delays, changes, throws, async (graph, delay, edits, thrown) => {
      const world = createWorld(graph);
      world.delays = delay;
      for (const { source, value, goal } of edits) {
        world.sources.set(source % graph.length, value);
        const target = graph.length - 1 - (goal % graph.length);
        const {
          results: [result],
        } = await world.build(target, 2);
        assert.equal(world.outputs.get(result!.id), world.expected(target));
        const needed = new Set(neededFor(outputOf(world.vertices[target]!)).map(({ digest }) => digest));
        for (const index of world.ran) assert.ok(needed.has(world.vertices[index]!.digest), 'an unneeded op ran');
        let turn = 0;
        world.evict(() => thrown[turn++ % thrown.length] ?? false);
      }
    }),
    randomRuns(80),
  );
});

test('records that come when the goal is not known are as good as those that were there, and nobody asks for them when it is', async () => {
  await fc.assert(
    fc.asyncProperty(graphs, changes, fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }), async (graph, list, hidden) => {
      const [own, split] = [createWorld(graph), createWorld(graph)];
      for (const { source, value, goal } of list) {
        const index = goal % graph.length;
        for (const world of [own, split]) world.sources.set(source % graph.length, value);
        // Some of what is known is elsewhere until it is asked for.
        const all = [...split.keys];
        const away = all.filter((_, at) => hidden[at % hidden.length]);
        for (const [key] of away) split.keys.delete(key);
        let asked = 0;
        split.more = () => {
          asked++;
          for (const [key, record] of away) split.keys.set(key, record);
          return away.length > 0;
        };
        await own.build(index);
        const solved = await split.build(index);
        assert.deepEqual(new Set(split.ran), new Set(own.ran));
        assert.equal(split.outputs.get(solved.results[0]!.id), split.expected(index));
        assert.ok(asked <= 1);
        if (asked === 0) for (const [key, record] of away) split.keys.set(key, record);
      }
    }),
    randomRuns(),
  );
});

test('a failing op ends the build, is blamed, and nothing of it is kept', async () => {
  await fc.assert(
    fc.asyncProperty(graphs, delays, jobCounts, fc.nat(), fc.boolean(), async (graph, delay, jobs, pick, deaf) => {
      const world = createWorld(graph);
      const goal = graph.length - 1;
      const needed = neededFor(outputOf(world.vertices[goal]!));
      const broken = world.vertices.findIndex(({ digest }) => digest === needed[pick % needed.length]!.digest);
      world.delays = delay;
      world.failing.add(broken);
      world.deaf = deaf;
      await assert.rejects(world.build(goal, jobs), (error) => {
        assert.ok(isCode(error, 'test/broken'), String(error));
        assert.deepEqual(error.notes, [`In the step "vertex ${broken}"`]);
        return true;
      });
      checkEvents(world, goal, 'failed');
      for (const { resultId } of world.keys.values()) assert.ok(world.outputs.has(resultId));
      world.failing.clear();
      const made = new Set([...world.keys.values()].map(({ resultId }) => resultId)).size;
      const {
        results: [result],
      } = await world.build(goal, jobs);
      assert.equal(world.outputs.get(result!.id), world.expected(goal));
      const cacheable =
        needed.length -
        needed.filter(({ digest }) => graph[world.vertices.findIndex((v) => v.digest === digest)]!.kind === 'context').length;
      assert.equal(world.ran.filter((index) => graph[index]!.kind !== 'context').length, cacheable - made);
    }),
    randomRuns(80),
  );
});

test('an aborted build rejects with the reason once all has come to rest, and keeps nothing that was cut off', async () => {
  await fc.assert(
    fc.asyncProperty(graphs, delays, fc.nat(), fc.boolean(), async (graph, delay, when, deaf) => {
      const world = createWorld(graph);
      const goal = graph.length - 1;
      const controller = new AbortController();
      world.delays = delay;
      world.deaf = deaf;
      let left = when % graph.length;
      world.hasStopped = () => controller.signal.aborted;
      world.onRun = () => {
        if (left-- === 0) controller.abort(cancelled('Stopped by the test'));
      };
      const before = world.keys.size;
      try {
        await world.build(goal, 2, controller.signal);
        assert.ok(!controller.signal.aborted);
      } catch (error) {
        assert.equal(error, controller.signal.reason);
        checkEvents(world, goal, 'aborted');
        assert.ok(world.keys.size - before <= 2 * world.finished.size);
      }
      world.onRun = () => {};
      world.hasStopped = () => false;
      const {
        results: [result],
      } = await world.build(goal);
      assert.equal(world.outputs.get(result!.id), world.expected(goal));
    }),
    randomRuns(80),
  );
});

test('a vertex whose cache is ignored runs again, and what stands on it sees the new result', async () => {
  const graph: readonly Node[] = [
    { kind: 'all', inputs: [] },
    { kind: 'all', inputs: [0] },
    { kind: 'all', inputs: [1] },
    { kind: 'part', inputs: [0, 1] },
    { kind: 'all', inputs: [2, 3] },
  ];
  const world = createWorld(graph);
  await world.build(4);
  const plain = world.vertices[1]!;
  Object.assign(plain.label, { ignoreCache: true } satisfies Partial<Label>);
  await world.build(4);
  // Vertex 3 reads one bit of vertex 1 only, and that bit is as it was.
  assert.deepEqual(world.ran, [1, 2, 4]);
  const kept = [...world.keys.values()].at(-1);
  Object.assign(plain.label, { ignoreCache: false });
  const { results, vertices } = await world.build(4);
  assert.deepEqual(world.ran, []);
  assert.equal(results[0]?.id, kept?.resultId);
  assert.ok([...vertices.values()].every(({ state }) => state === 'cached'));
});

test('equal vertices run once, whoever made them', async () => {
  const op = { kind: 'source-local', name: 'same' } as const;
  const twins = [createVertex(op, [], { text: 'one' }), createVertex(op, [], { text: 'two' })];
  const top = createVertex({ kind: 'source-local', name: 'top' }, twins.map(outputOf), { text: 'top' });
  let runs = 0;
  const driverFor = (vertex: Vertex): OpDriver => ({
    caching: 'by-definition',
    cacheBase: async () => vertex.digest,
    run: async () => ({ id: `result ${++runs}` }),
  });
  const cache: CacheLookup = { find: () => undefined, save: (_, record) => record, replace: () => {} };
  await solve({ goals: [outputOf(top)], driverFor, cache, jobs: 2, now: () => 0 }, () => {}, new AbortController().signal);
  assert.equal(runs, 2);
});

test('several goals are solved together: what they share runs once, each gets its own result, and all must be known for nothing to run', async () => {
  const shared = createVertex({ kind: 'source-local', name: 'shared' }, [], { text: 'shared' });
  const tops = ['a', 'b'].map((name) => createVertex({ kind: 'source-local', name }, [outputOf(shared)], { text: name }));
  const ran: string[] = [];
  const kept = new Map<string, CacheRecord>();
  const driverFor = ({ digest, label }: Vertex): OpDriver => ({
    caching: 'by-definition',
    cacheBase: async () => digest,
    run: async () => (ran.push(label.text), { id: `result ${label.text}` }),
  });
  const cache: CacheLookup = { find: (key) => kept.get(key), save: (key, record) => (kept.set(key, record), record), replace: assert.fail };
  let asked = 0;
  const moreRecords = async (): Promise<boolean> => (asked++, false);
  const solveFor = async (goals: readonly Vertex[]): Promise<readonly string[]> => {
    const request = { goals: goals.map(outputOf), driverFor, cache, moreRecords, jobs: 2, now: () => 0 };
    return (await solve(request, () => {}, new AbortController().signal)).results.map(({ id }) => id);
  };
  assert.deepEqual(await solveFor(tops.slice(0, 1)), ['result a']);
  assert.deepEqual(await solveFor(tops), ['result a', 'result b']);
  assert.deepEqual(ran, ['shared', 'a', 'b']);
  assert.deepEqual(await solveFor(tops.toReversed()), ['result b', 'result a']);
  assert.equal(asked, 2);
});

test('what another build kept first counts, although this one ran the op, too', async () => {
  const [vertex] = createWorld([{ kind: 'all', inputs: [] }]).vertices;
  assert.ok(vertex);
  const driver: OpDriver = { caching: 'by-definition', cacheBase: async () => vertex.digest, run: async () => ({ id: 'second' }) };
  const cache: CacheLookup = { find: () => undefined, save: (_, record) => ({ ...record, resultId: 'first' }), replace: assert.fail };
  const request = { goals: [outputOf(vertex)], driverFor: () => driver, cache, jobs: 1, now: () => 0 };
  const {
    results: [result],
  } = await solve(request, () => {}, new AbortController().signal);
  assert.equal(result?.id, 'first');
});

test('of what could start, the longest remaining path goes first', async () => {
  // 0 <- 1 <- 2 <- 5, 3 <- 5, 4 <- 5: with one slot, 0 and 1 are not kept waiting by 3 and 4.
  const graph: readonly Node[] = [
    { kind: 'all', inputs: [] },
    { kind: 'all', inputs: [0] },
    { kind: 'all', inputs: [1] },
    { kind: 'all', inputs: [] },
    { kind: 'all', inputs: [] },
    { kind: 'all', inputs: [3, 4, 2] },
  ];
  const world = createWorld(graph);
  world.delays = [1, 1, 1, 1, 1, 1];
  await world.build(5, 1);
  assert.deepEqual(world.ran, [0, 1, 3, 4, 2, 5]);
  assert.equal(world.mostRunning, 1);
  await createWorld(graph).build(5, 3);
});

test('independent vertices run at the same time', async () => {
  const graph: readonly Node[] = [
    { kind: 'all', inputs: [] },
    { kind: 'all', inputs: [] },
    { kind: 'all', inputs: [0, 1] },
  ];
  const world = createWorld(graph);
  world.delays = [2, 2, 2];
  await world.build(2, 2);
  assert.equal(world.mostRunning, 2);
});

test('errors that are not ours are wrapped, with the place in the source', async () => {
  const at = [{ file: 'Dockerfile', start: { line: 2, column: 1 }, end: { line: 2, column: 9 } }];
  const vertex = createVertex({ kind: 'source-local', name: 'x' }, [], { text: 'RUN x', at });
  const driver: OpDriver = {
    caching: 'by-definition',
    cacheBase: async () => vertex.digest,
    run: async () => {
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    },
  };
  const cache: CacheLookup = { find: () => undefined, save: assert.fail, replace: assert.fail };
  const request = { goals: [outputOf(vertex)], driverFor: () => driver, cache, jobs: 1, now: () => 0 };
  await assert.rejects(
    solve(request, () => {}, new AbortController().signal),
    (error) => {
      assert.ok(isCode(error, 'solver/step-failed'));
      assert.equal(error.fault, 'environment');
      assert.deepEqual(error.at, at);
      return true;
    },
  );
});

function readsBit(graph: readonly Node[], index: number, input: number): boolean {
  const { kind } = graph[index]!;
  return kind === 'bits' || (kind === 'part' && input > 0);
}

/** What a vertex's result is made of, as a text: two vertices with the same text share one result. */
function identities(world: World, graph: readonly Node[]): (index: number) => string {
  const identity = (index: number): string => {
    const node = graph[index]!;
    const parts = node.inputs.map((input, position) => {
      const isContext = graph[input]!.kind === 'context';
      if (readsBit(graph, index, position)) return `bit ${world.expected(input) % 2}`;
      return isContext ? `value ${world.expected(input)}` : identity(input);
    });
    return `${index}(${parts.join(', ')})`;
  };
  return identity;
}

/** Every needed vertex is declared first and once; it ends at most once, and on success exactly once. */
function checkEvents(world: World, goal: number, outcome: 'done' | 'failed' | 'aborted'): void {
  const needed = neededFor(outputOf(world.vertices[goal]!)).map(({ digest }) => digest);
  const declared = world.events.flatMap((event) => (event.kind === 'vertex' ? [event.vertex] : []));
  assert.deepEqual(declared, needed);
  const started = new Set<Digest>();
  const ended = new Set<Digest>();
  const failures: boolean[] = [];
  for (const event of world.events) {
    switch (event.kind) {
      case 'vertex-started':
        assert.ok(!started.has(event.vertex));
        assert.equal(failures.length, 0, 'an op was started after a failure');
        started.add(event.vertex);
        break;
      case 'vertex-cached':
        assert.ok(!ended.has(event.vertex) && !started.has(event.vertex));
        ended.add(event.vertex);
        break;
      case 'vertex-finished':
      case 'vertex-failed':
        assert.ok(started.has(event.vertex) && !ended.has(event.vertex));
        ended.add(event.vertex);
        if (event.kind === 'vertex-failed') failures.push(event.cancelled);
        break;
      case 'vertex':
        break;
      case 'note':
      case 'output':
      case 'transfer':
      case 'warning':
        assert.fail(`the solver reported a ${event.kind}`);
    }
  }
  assert.deepEqual(
    [...started].filter((digest) => !ended.has(digest)),
    [],
  );
  if (outcome === 'done') assert.equal(ended.size, needed.length);
  assert.equal(failures.filter((wasCancelled) => !wasCancelled).length, outcome === 'failed' ? 1 : 0);
}

test('what is certain to run and lacks something fails before anything runs; what may be found by content does not', async () => {
  const world = createWorld([
    { kind: 'context', inputs: [] },
    { kind: 'all', inputs: [0] },
    { kind: 'all', inputs: [1] },
    { kind: 'part', inputs: [2, 1] },
  ]);
  world.lacking.add(2);
  await assert.rejects(world.build(3), { code: 'test/lacking' });
  assert.deepEqual([world.ran, world.checked], [[0], [1, 2]]);
  world.lacking.clear();
  world.lacking.add(3);
  await world.build(3);
  assert.deepEqual(
    [world.ran, world.checked],
    [
      [0, 1, 2, 3],
      [1, 2],
    ],
  );
});

test('when slots are few, what has the longest way to the goal goes first, by what steps took before', async () => {
  const world = createWorld([
    { kind: 'context', inputs: [] },
    { kind: 'all', inputs: [0] },
    { kind: 'all', inputs: [1] },
    { kind: 'all', inputs: [2] },
    { kind: 'all', inputs: [0] },
    { kind: 'all', inputs: [3, 4] },
  ]);
  await world.build(5, 1);
  assert.deepEqual(world.ran.slice(0, 3), [0, 1, 2], 'without costs the way with most steps');
  world.sources.set(0, 1);
  world.costs = new Map([
    ['vertex 1', 10],
    ['vertex 3', 20],
    ['vertex 4', 9000],
  ]);
  await world.build(5, 1);
  assert.equal(world.ran[1], 4, 'vertex 2, never seen, must not count as free or as endless');
});
