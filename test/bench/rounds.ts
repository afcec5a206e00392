/**
 * Runs the workloads: for each variant, round after round, each builder once in every round, the first of them another one each time. So
 * whatever disturbs the machine for a while disturbs all of them.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { imageName } from './base-images.ts';
import type { Builder, BuildRequest, Place } from './builder.ts';
import { runQuietly, type Command } from './command.ts';
import { measure, type Measured } from './measure.ts';
import { waitUntilGone } from './processes.ts';
import { startRegistry } from './registry.ts';
import type { Base, Variant, Workload } from './workloads.ts';

export type Run = Measured & {
  readonly workload: string;
  readonly variant: Variant;
  readonly builder: string;
  readonly round: number;
};

export type Bench = {
  readonly place: Place;
  readonly builders: readonly Builder[];
  readonly rounds: number;
  /** Told of each run as it ends. */
  readonly report: (run: Run) => void;
};

type Course = {
  readonly bench: Bench;
  readonly workload: Workload;
  readonly request: BuildRequest;
  /** Builders that have built the workload and still have it in their cache. */
  readonly built: Set<Builder>;
  /** Builders that could not even be made ready: not tried again. */
  readonly broken: Set<Builder>;
};

/** Runs every variant of `workload` with every builder. */
export async function runWorkload(bench: Bench, workload: Workload): Promise<readonly Run[]> {
  const context = join(bench.place.folder, 'contexts', workload.name);
  mkdirSync(context, { recursive: true });
  workload.make(context, (base) => imageName(bench.place, base));
  const request = { context, file: join(context, 'Dockerfile'), tag: `${workload.name.toLowerCase()}:latest` };
  const course: Course = { bench, workload, request, built: new Set(), broken: new Set() };
  const runs: Run[] = [];
  for (const variant of workload.variants) {
    for (let round = 0; round < bench.rounds; round++) {
      const salt = `${variant}-${round}-${process.pid}`;
      // What a push compressed may be kept: each push is the first one of its store.
      if (variant === 'push' || variant === 'zstd') course.built.clear();
      // Before the edit, what is edited must be in every cache.
      if (needsCache(variant)) for (const builder of bench.builders) buildUntimed(course, builder);
      if (variant === 'edit' || variant === 'copy') workload.edit?.(context, salt, (base) => imageName(bench.place, base));
      for (const builder of rotate(bench.builders, round)) {
        const run = await runOnce(course, { variant, round, builder });
        if (run === undefined) continue;
        runs.push(run);
        bench.report(run);
      }
    }
  }
  return runs;
}

function needsCache(variant: Variant): boolean {
  return variant === 'warm' || variant === 'edit' || variant === 'copy' || variant === 'push' || variant === 'zstd';
}

async function runOnce(
  course: Course,
  { variant, round, builder }: { readonly variant: Variant; readonly round: number; readonly builder: Builder },
): Promise<Run | undefined> {
  if (variant === 'cold') prepare(course, builder, () => makeCold(course, builder));
  if (course.broken.has(builder)) return undefined;
  const { bench, workload, request } = course;
  const time = async (command: Command): Promise<Run> => {
    const log = join(bench.place.folder, `${builder.name}.log`);
    // Our builds leave a process that deletes what they threw away.
    await waitUntilGone(join(bench.place.folder, 'jettison/store'), 30_000);
    const measured = await measure(command, { daemons: builder.daemons(), log });
    return { ...measured, workload: workload.name, variant, builder: builder.name, round };
  };
  if (variant === 'pull') {
    if (builder.pull === undefined) return undefined;
    builder.forget([]);
    return await time(builder.pull(imageName(bench.place, 'large')));
  }
  if (variant === 'push' || variant === 'zstd') {
    const push = variant === 'push' ? builder.push : builder.pushZstd;
    if (push === undefined) return undefined;
    await using empty = await startRegistry(join(bench.place.folder, 'pushed', `${workload.name}-${variant}-${builder.name}-${round}`));
    const tag = `${empty.address}/${request.tag}`;
    runQuietly(builder.build({ ...request, tag }));
    return await time(push(tag));
  }
  const run = await time(builder.build(request));
  if (run.status === 0) course.built.add(builder);
  return run;
}

/** An untimed build, unless the cache still has it. */
function buildUntimed(course: Course, builder: Builder): void {
  if (course.built.has(builder)) return;
  prepare(course, builder, () => {
    makeCold(course, builder);
    runQuietly(builder.build(course.request));
    course.built.add(builder);
  });
}

/** Does what comes before a timed run. A builder that cannot is left out of the workload, and the reason is printed once. */
function prepare(course: Course, builder: Builder, work: () => void): void {
  if (course.broken.has(builder)) return;
  try {
    work();
  } catch (error) {
    course.broken.add(builder);
    console.error(`${course.workload.name}: ${builder.name} is left out: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Empties the builder's cache, brings the bases and has them unpacked by a small build. */
function makeCold(course: Course, builder: Builder): void {
  const { place } = course.bench;
  const names = course.workload.bases.map((base: Base) => imageName(place, base));
  builder.forget(names);
  for (const [index, name] of names.entries()) {
    const context = join(place.folder, 'contexts', `warm-${index}`);
    mkdirSync(context, { recursive: true });
    writeFileSync(join(context, 'Dockerfile'), `FROM ${name}\nRUN echo warm > /warm\n`);
    runQuietly(builder.build({ context, file: join(context, 'Dockerfile'), tag: `warm-${index}:latest` }));
  }
}

function rotate<T>(items: readonly T[], by: number): readonly T[] {
  const first = by % Math.max(items.length, 1);
  return [...items.slice(first), ...items.slice(0, first)];
}
