import { diagnose, type Diagnosis } from '#engine/doctor.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { choice } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { formatTable } from '../output/table.ts';
import { harmless } from '../output/text.ts';

export const doctorCommand = defineCommand({
  name: 'doctor',
  summary: 'Try what this machine lets a build do, and say what is missing',
  usage: '[OPTIONS]',
  options: { format: choice('format', { words: ['table', 'json'], initial: 'table', help: 'How it is printed (default "table")' }) },
  arguments: [0, 0],
  async run({ options }, around, signal) {
    await using engine = await engineFor(around);
    const diagnosis = await diagnose(engine, signal);
    around.streams.stdout.write(options.format === 'json' ? `${goJson(documentOf(diagnosis))}\n` : shown(describe(diagnosis)));
    return isUsable(diagnosis.taken) ? 0 : 1;
  },
});

function shown(text: string): string {
  return text
    .split('\n')
    .map((line) => harmless(line, false))
    .join('\n');
}

type Report = Diagnosis['rungs'][number];

function documentOf({ taken, rungs, host, containerNetwork, platforms, store }: Diagnosis) {
  return {
    isolation: isUsable(taken) ? taken.isolation : null,
    tree: isUsable(taken) ? taken.tree : null,
    store,
    host: { ...host },
    containerNetwork,
    platforms: platforms.map(({ platform, emulator }) => ({ platform, emulator: emulator ?? null })),
    rungs: rungs.map((rung) => ({
      isolation: rung.isolation,
      works: canBuild(rung),
      tree: rung.works ? rung.tree : null,
      runtime: rung.works ? (rung.runtime ?? null) : null,
      missing: lacksOf(rung).map((lack) => ({ ...lack })),
    })),
  };
}

/** Without a runtime only COPY and ADD work. */
function canBuild(rung: Report): boolean {
  return rung.works && rung.runtime !== undefined;
}

/** Is it one that can build in this store? */
function isUsable(taken: Report | undefined): taken is Extract<Report, { readonly works: true }> {
  return taken !== undefined && canBuild(taken) && !isOfOtherStore(taken);
}

function isOfOtherStore(rung: Report): boolean {
  return lacksOf(rung).some(({ what }) => what === 'store');
}

function lacksOf(rung: Report): readonly { readonly what: string; readonly problem: string; readonly hint: string }[] {
  return rung.works ? rung.missing : [{ what: 'isolation', problem: rung.problem, hint: rung.hint }];
}

function describe(diagnosis: Diagnosis): string {
  const { rungs, host, containerNetwork, platforms, store } = diagnosis;
  const runnable = platforms.map(({ platform, emulator }) => (emulator === undefined ? platform : `${platform} (emulated by ${emulator})`));
  const facts = [
    ['Host', `Linux ${host.kernel}, ${host.architecture}, cgroup ${host.cgroup}, ${rightsOf(diagnosis)}`],
    ['Store', `${store} on ${host.fileSystem}`],
    ['Platforms', runnable.join(', ')],
    ['Network', `a step has the host's, or none; containers: ${containerNetwork}`],
  ];
  return [
    headOf(diagnosis),
    '',
    formatTable([['ISOLATION', 'STATE'], ...rungs.map(rowOf)]),
    ...missingLines(rungs),
    formatTable(facts),
  ].join('\n');
}

function headOf({ taken, rungs }: Diagnosis): string {
  if (isUsable(taken))
    return `Builds here run with isolation "${taken.isolation}", ${taken.tree === 'overlay' ? 'trees by overlay' : 'trees by copies'}.`;
  if (taken === undefined) return 'Nothing can be built here: no isolation works.';
  const others = rungs.flatMap((rung) => (rung.isolation !== taken.isolation && canBuild(rung) ? [`"${rung.isolation}"`] : []));
  const instead = others.length === 0 || isOfOtherStore(taken) ? '' : `; ${others.join(' and ')} can, by "--isolation"`;
  return `Builds here would run with isolation "${taken.isolation}", and cannot: see what is missing${instead}.`;
}

function rightsOf({ host }: Diagnosis): string {
  return [
    host.isRoot ? 'root' : 'not root',
    ...(host.noNewPrivileges ? ['no_new_privs'] : []),
    ...(host.seccompFilters !== null && host.seccompFilters > 0 ? ['under a seccomp filter'] : []),
  ].join(', ');
}

function rowOf(rung: Report): readonly string[] {
  if (!rung.works) return [rung.isolation, 'not here'];
  if (rung.runtime === undefined) return [rung.isolation, 'nothing can be run'];
  const { name, version } = rung.runtime;
  return [rung.isolation, `works: ${rung.tree}, ${version === '' ? name : `${name} ${version}`}`];
}

function missingLines(rungs: readonly Report[]): readonly string[] {
  const lines = rungs.flatMap((rung) => lacksOf(rung).map((lack) => linesOf(rung.isolation, lack)));
  return lines.length === 0 ? [] : ['What is missing, and how to get it:', ...lines, ''];
}

function linesOf(isolation: string, { what, problem, hint }: ReturnType<typeof lacksOf>[number]): string {
  const about = what === 'isolation' ? isolation : `${isolation}, ${what}`;
  return `  ${about}: ${problem}${hint === '' ? '' : `\n      ${hint}`}`;
}
