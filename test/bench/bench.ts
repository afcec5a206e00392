/** `npm run bench`: our builds beside those of every peer that is installed, in one run, taking turns. */
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { provideBases } from './base-images.ts';
import type { Builder, Place } from './builder.ts';
import { openBuildah } from './builders/buildah.ts';
import { openBuildx } from './builders/buildx.ts';
import { openJettison, ownCommand } from './builders/jettison.ts';
import { openTemplates } from './builders/template.ts';
import { stopRunning } from './measure.ts';
import { readOptions, usage, type Options } from './options.ts';
import { startRegistry } from './registry.ts';
import { goalLines, megabytes, seconds, tableOf } from './report.ts';
import { runWorkload, type Run } from './rounds.ts';
import { benchStart } from './start.ts';

/** Stores of all rounds stay until the end. */
const wantedSpace = 20e9;

const given = readOptionsOrExplain();
process.exitCode = given === undefined ? 1 : await bench(given);

function readOptionsOrExplain(): Options | undefined {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}\n${usage}`);
    return undefined;
  }
}

/** Gives the exit code: 1 when a run of ours failed. */
async function bench(options: Options): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-bench-'));
  const used: Builder[] = [];
  const leave = (): void => {
    for (const builder of used) builder.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  };
  const leaveNow = async (code: number): Promise<void> => {
    await stopRunning();
    leave();
    process.exit(code);
  };
  process.once('SIGINT', () => void leaveNow(130));
  process.once('SIGTERM', () => void leaveNow(143));
  try {
    if (options.start) {
      describe([openJettison({ folder, registry: '' })], folder);
      benchStart(folder, (...words) => ownCommand(folder, 'store', words), options.runs);
      return 0;
    }
    warnAboutSpace(folder);
    await using registry = await startRegistry(join(folder, 'registry'));
    const place = { folder, registry: registry.address };
    const builders = openBuilders(place, options);
    used.push(...builders);
    describe(builders, folder);
    const buildah = openBuildah({ ...place, folder: join(folder, 'bases') });
    if (buildah) used.push(buildah);
    await provideBases(place, new Set(options.workloads.flatMap((workload) => workload.bases)), buildah ?? openJettison(place));
    const runs: Run[] = [];
    for (const workload of options.workloads) {
      console.log(`\n${workload.name}: ${workload.title}`);
      runs.push(...(await runWorkload({ place, builders, rounds: options.runs, report: reportRun }, workload)));
    }
    return finish(runs, builders, options);
  } finally {
    leave();
  }
}

function openBuilders(place: Place, options: Options): readonly Builder[] {
  const peers = [openBuildah(place), openBuildx(), ...openTemplates(process.env)].filter((peer) => peer !== undefined);
  const unknown = options.peers?.filter((name) => !peers.some((peer) => peer.name === name)) ?? [];
  if (unknown.length > 0) throw new Error(`Peers not found: ${unknown.join(', ')} (found: ${peers.map((peer) => peer.name).join(', ')})`);
  return [openJettison(place), ...peers.filter((peer) => options.peers?.includes(peer.name) ?? true)];
}

function describe(builders: readonly Builder[], folder: string): void {
  const load = loadavg()
    .map((value) => value.toFixed(1))
    .join(' ');
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${megabytes(totalmem())} MB, Linux ${release()}, load ${load}`;
  console.log(`${new Date().toISOString().slice(0, 16)}, ${machine}, in ${folder}`);
  for (const { name, version } of builders) console.log(`  ${name}: ${version}`);
}

function warnAboutSpace(folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < wantedSpace)
    console.error(`bench: only ${megabytes(bavail * bsize)} MB free in ${folder}; ${megabytes(wantedSpace)} MB are wanted`);
}

function reportRun(run: Run): void {
  const { sum, largest } = run.memory;
  const memory = `${megabytes(sum)} MB, largest process ${megabytes(largest)} MB`;
  console.log(
    `  ${run.variant.padEnd(5)} ${run.builder.padEnd(9)} ${seconds(run.seconds).padStart(7)} s  ${memory}  load ${run.load.toFixed(1)}`,
  );
  if (run.status !== 0) console.log(`  FAILED with ${run.status}: ${run.tail}`);
}

function finish(runs: readonly Run[], builders: readonly Builder[], options: Options): number {
  const own = runs.filter((run) => run.builder === builders[0]?.name);
  console.log('\nSeconds: median (least-most). Memory: MB, sum over the processes at the worst moment (largest process).\n');
  console.log(
    tableOf(
      runs,
      builders.map((builder) => builder.name),
    ),
  );
  console.log(`\n${goalLines(own, options.workloads).join('\n')}`);
  if (options.json !== undefined) {
    const about = { date: new Date().toISOString(), builders: builders.map(({ name, version }) => ({ name, version })), kernel: release() };
    writeFileSync(options.json, `${JSON.stringify({ ...about, runs }, null, 2)}\n`);
  }
  const hasFailed = own.some((run) => run.status !== 0) || own.length === 0;
  return hasFailed ? 1 : 0;
}
