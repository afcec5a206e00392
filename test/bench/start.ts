/**
 * `npm run bench -- start`: how long a container takes to start, beside bare `runc run` (and crun) over the same files, and how long `images` takes with 1,000 images. All take
 * turns; the processor time of a command is that of all its processes, but for the one that tends the store afterwards.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tarOf } from '#test/kit/archives.ts';
import { makeBusyboxRoot } from '#test/kit/busybox.ts';
import { runQuietly, type Command } from './command.ts';

const imageCount = 1000;
/** Of the kernel, in which /proc counts processor time: sysconf(_SC_CLK_TCK). */
const ticksInSecond = 100;

type Contestant = { readonly name: string; readonly command: (round: number) => Command; readonly seconds: number[]; processor: number };

/** `ours` gives the command of our words. Prints a line for each contestant: wall clock (least and median) and mean processor time, in milliseconds. */
export function benchStart(folder: string, ours: (...words: readonly string[]) => Command, rounds: number): void {
  const bundle = join(folder, 'start');
  makeBundle(bundle);
  loadImages(folder, bundle, ours);
  const bare = (program: string): Contestant[] =>
    ['runc', 'crun'].includes(program) && spawnSync(program, ['--version']).status === 0
      ? [contestant(`bare ${program} run`, (round) => ({ program, words: ['run', '--bundle', bundle, `bench-${process.pid}-${round}`] }))]
      : [];
  const contestants = [
    ...bare('runc'),
    ...bare('crun'),
    contestant('node -e 0', () => ({ program: process.execPath, words: ['-e', '0'] })),
    ...['none', 'host', 'bridge'].map((network) =>
      contestant(`run --rm --network ${network}`, () => ours('run', '--rm', '--network', network, 'start', '/bin/true')),
    ),
    contestant(`images, ${imageCount} of them`, () => ours('images')),
  ].filter(works);
  for (let round = 0; round < rounds; round++) {
    for (const index of contestants.keys()) time(contestants[(index + round) % contestants.length], round);
  }
  for (const line of linesOf(contestants)) console.log(line);
}

function contestant(name: string, command: Contestant['command']): Contestant {
  return { name, command, seconds: [], processor: 0 };
}

/** The first runs keep compiled code, and find out which runtime works. crun refuses a hybrid cgroup tree. */
function works({ name, command }: Contestant): boolean {
  try {
    for (let run = 0; run < 5; run++) runQuietly(command(-1 - run));
    return true;
  } catch (error) {
    console.error(`${name} is left out: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

function time(one: Contestant | undefined, round: number): void {
  if (one === undefined) return;
  const { program, words, environment } = one.command(round);
  const before = processorSeconds();
  const started = performance.now();
  const { status, stderr } = spawnSync(program, words, {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  one.seconds.push((performance.now() - started) / 1000);
  one.processor += processorSeconds() - before;
  if (status !== 0) throw new Error(`${one.name} ended with ${status}: ${stderr}`);
}

/** Of children that have been waited for: proc(5), the 16th and 17th field of stat. */
function processorSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[13]) + Number(fields[14])) / ticksInSecond;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

function milliseconds(value: number): string {
  return (value * 1000).toFixed(1).padStart(7);
}

function linesOf(contestants: readonly Contestant[]): readonly string[] {
  const runc = contestants.find(({ name }) => name === 'bare runc run');
  return contestants.map(({ name, seconds, processor }) => {
    const ratio =
      runc === undefined || !name.startsWith('run ')
        ? ''
        : `  ${(Math.min(...seconds) / Math.min(...runc.seconds)).toFixed(2)} and ${(median(seconds) / median(runc.seconds)).toFixed(2)} times runc`;
    return `  ${name.padEnd(26)} least ${milliseconds(Math.min(...seconds))}  median ${milliseconds(median(seconds))}  processor ${milliseconds(processor / seconds.length)}${ratio}`;
  });
}

/** runc's own specification, without a terminal. */
function makeBundle(folder: string): void {
  const root = join(folder, 'rootfs');
  mkdirSync(root, { recursive: true });
  makeBusyboxRoot(root);
  execFileSync('runc', ['spec'], { cwd: folder });
  const spec = readFileSync(join(folder, 'config.json'), 'utf8').replace('"terminal": true', '"terminal": false');
  writeFileSync(join(folder, 'config.json'), spec.replace('"sh"', '"/bin/true"'));
}

function loadImages(folder: string, bundle: string, ours: (...words: readonly string[]) => Command): void {
  const archive = join(folder, 'start.tar');
  execFileSync('tar', ['-C', join(bundle, 'rootfs'), '-cf', archive, '.']);
  runQuietly(ours('import', archive, 'start'));
  writeFileSync(archive, manyImages());
  runQuietly(ours('load', '-q', '-i', archive));
  rmSync(archive);
}

/** An archive as `docker save` makes it, of images that differ in a label. */
function manyImages(): Uint8Array {
  const layer = tarOf([['file', 'file', 'x']]);
  const diffId = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
  const images = Array.from({ length: imageCount }, (_, index) => {
    const config = {
      architecture: 'amd64',
      os: 'linux',
      config: { Labels: { n: String(index) } },
      rootfs: { type: 'layers', diff_ids: [diffId] },
    };
    return { name: `${String(index)}.json`, text: JSON.stringify(config), tag: `app${index}:v1` };
  });
  const manifest = images.map(({ name, tag }) => ({ Config: name, RepoTags: [tag], Layers: ['layer.tar'] }));
  return tarOf([
    ['layer.tar', 'file', layer],
    ...images.map(({ name, text }) => [name, 'file', text] as const),
    ['manifest.json', 'file', JSON.stringify(manifest)],
  ]);
}
