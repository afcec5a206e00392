/** A project with four stages, and single changes to it of which is known what has to run again, and why. */
import { chmodSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { BuildRequest } from '#engine/build-requests.ts';
import type { WhyChange } from '#engine/past-build-requests.ts';

type File = { readonly text: string; readonly mode: number } | { readonly link: string };

/** All that a build of the project is made from. */
export type Project = {
  readonly files: ReadonlyMap<string, File>;
  readonly ignore: string;
  readonly stages: Readonly<Record<'one' | 'two' | 'runs' | 'final', readonly string[]>>;
  readonly request: Partial<BuildRequest>;
  /** What the image `base` holds. */
  readonly base: string;
};

/** `ran`: names of steps, as `stepName` gives them. */
export type Mutation = {
  readonly name: string;
  readonly project: Project;
  /** Built before: what it makes is known when the mutation is built. */
  readonly first?: Project;
  /** The step that is forgotten, with this rule. */
  readonly evict?: { readonly step: string; readonly rule: string };
  readonly ran: readonly string[];
  readonly root: { readonly step: string; readonly change: Partial<WhyChange> } | undefined;
};

const finalFrom = (name: string): readonly string[] => {
  const all = ['final.app', 'final.data', 'final.tool', 'final.top'];
  return all.slice(all.indexOf(name));
};
const folders = {
  'src/lib': ['one.lib', 'one.app'],
  'src/app': ['one.app', ...finalFrom('final.app')],
  data: ['two.data', 'two.more', ...finalFrom('final.data')],
  'more/extra': ['two.more'],
} as const;
type Folder = keyof typeof folders;
const folderNames = Object.keys(folders) as readonly Folder[];

export function baseProject(round: number): Project {
  const files = new Map<string, File>([['top.txt', { text: `top ${round}`, mode: 0o644 }]]);
  for (const folder of folderNames) {
    for (let index = 0; index < 12; index++) {
      files.set(`${folder}/${index % 3 === 0 ? 'deep/' : ''}f${index}.txt`, { text: `${folder} ${index} ${round}`, mode: 0o644 });
    }
    files.set(`${folder}/link`, { link: 'f1.txt' });
  }
  return {
    files,
    ignore: '',
    stages: {
      one: ['FROM base AS one', 'COPY src/lib /lib', 'COPY src/app /app'],
      two: ['FROM scratch AS two', 'ARG SUB=extra', 'COPY data /data', 'COPY more/extra /$SUB'],
      runs: [
        'FROM tools AS runs',
        'ARG MODE=fast',
        'ARG API_TOKEN=nothing',
        'ENV LEVEL=1',
        'USER 0',
        'SHELL ["/bin/sh", "-c"]',
        `RUN --mount=type=cache,target=/c true first ${round}`,
        `RUN true second ${round}`,
      ],
      final: [
        'FROM scratch',
        'COPY --from=one /app /app',
        'COPY --from=two /data /data',
        'COPY --from=runs /bin/busybox /tool',
        'COPY top.txt /',
      ],
    },
    request: {},
    base: `base ${round}`,
  };
}

const words = ['app', 'lib', 'data', 'more', 'busybox', 'top'];

/** A short name for a step, from its stage and its text. */
export function stepName(stage: string | null, text: string): string {
  const place = stage === 'stage-3' ? 'final' : (stage ?? '');
  if (text.startsWith('FROM')) return `${place}.from`;
  if (text.startsWith('RUN')) return `${place}.${/true (\w+)/u.exec(text)?.[1] ?? '?'}`;
  if (text.includes(' /new')) return `${place}.new`;
  const word = words.find((one) => text.includes(one)) ?? '?';
  return `${place}.${word === 'busybox' ? 'tool' : word}`;
}

/** Makes one mutation of each kind, chosen by `random` (0 to 1). `unique` gives a number that was never given before. */
export function mutationsOf(project: Project, random: () => number, unique: () => number): readonly Mutation[] {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const withFile = (path: string, file: File | undefined): Project => {
    const files = new Map(project.files);
    if (file === undefined) files.delete(path);
    else files.set(path, file);
    return { ...project, files };
  };
  const withLine = (stage: keyof Project['stages'], edit: (lines: string[]) => void): Project => {
    const lines = [...project.stages[stage]];
    edit(lines);
    return { ...project, stages: { ...project.stages, [stage]: lines } };
  };
  const replaced = (stage: keyof Project['stages'], from: string, to: string): Project =>
    withLine(
      stage,
      (lines) =>
        void lines.splice(
          lines.findIndex((line) => line.includes(from)),
          1,
          to,
        ),
    );
  const inserted = (stage: keyof Project['stages'], behind: string, line: string): Project =>
    withLine(stage, (lines) => void lines.splice(lines.findIndex((one) => one.includes(behind)) + 1, 0, line));
  const removed = (stage: keyof Project['stages'], line: string): Project =>
    withLine(
      stage,
      (lines) =>
        void lines.splice(
          lines.findIndex((one) => one.includes(line)),
          1,
        ),
    );

  const mutations: Mutation[] = [];
  const add = (
    name: string,
    changed: Project,
    [ran, step, change]: readonly [readonly string[], string, Partial<WhyChange>],
    more: Partial<Mutation> = {},
  ): void => void mutations.push({ name, project: changed, ran, root: { step, change }, ...more });
  const fileChange = (name: string, path: string, file: File | undefined, change: string): void => {
    const steps = folders[folderOf(path)];
    add(name, withFile(path, file), [steps, steps[0], { class: 'file', object: path, change, from: 'context' }]);
  };

  const gones = new Set<string>();
  for (const folder of folderNames) {
    const own = [...project.files.keys()].filter((path) => path.startsWith(`${folder}/`) && path.endsWith('.txt'));
    const [content, mode, gone, kind] = shuffled(own, random);
    fileChange('file added', `${folder}/${pick(['', 'deep/', 'fresh/'])}n${unique()}.txt`, { text: 'new', mode: 0o644 }, 'added');
    gones.add(gone ?? '');
    fileChange('file removed', gone ?? '', undefined, 'removed');
    fileChange('file content', content ?? '', { text: `changed ${unique()}`, mode: 0o644 }, 'content');
    fileChange('file mode', mode ?? '', { text: textOf(project, mode ?? ''), mode: pick([0o600, 0o755, 0o640, 0o444]) }, 'mode');
    fileChange('link target', `${folder}/link`, { link: `f${unique()}.txt` }, 'link target');
    fileChange('file kind', kind ?? '', { link: `elsewhere${unique()}` }, 'kind');
  }
  add('top content', withFile('top.txt', { text: `top ${unique()}`, mode: 0o644 }), [
    ['final.top'],
    'final.top',
    { class: 'file', object: 'top.txt', change: 'content' },
  ]);
  // Not one that another mutation removes: the result would be known.
  const ignored = `src/app/f${pick([4, 5, 7, 8].filter((index) => !gones.has(`src/app/f${index}.txt`)))}.txt`;
  add('ignored', { ...project, ignore: `${ignored}\n` }, [
    folders['src/app'],
    'one.app',
    { class: 'file', object: ignored, change: 'removed' },
  ]);

  const both = ['runs.first', 'runs.second'];
  const argument = (name: string, value: string): Project => ({ ...project, request: { buildArgs: new Map([[name, value]]) } });
  const value = `v${unique()}`;
  add('argument of COPY', argument('SUB', value), [
    ['two.more'],
    'two.more',
    { class: 'argument', object: 'SUB', before: 'extra', after: value },
  ]);
  add('argument of RUN', argument('MODE', value), [
    both,
    'runs.first',
    { class: 'argument', object: 'MODE', before: 'fast', after: value },
  ]);
  add('default of ARG', replaced('runs', 'ARG MODE', `ARG MODE=${value}x`), [
    both,
    'runs.first',
    { class: 'argument', object: 'MODE', after: `${value}x` },
  ]);
  add('secret argument', argument('API_TOKEN', `s3cr3t${unique()}`), [
    both,
    'runs.first',
    { class: 'argument', object: 'API_TOKEN', before: '(hidden)', after: '(hidden)' },
  ]);
  add('environment', replaced('runs', 'ENV', `ENV LEVEL=${value}`), [
    both,
    'runs.first',
    { class: 'environment', object: 'LEVEL', before: '1', after: value },
  ]);
  add('new environment', inserted('runs', 'ENV', `ENV NEW${unique()}=1`), [both, 'runs.first', { class: 'environment', change: 'added' }]);
  const user = String(1000 + unique());
  add('user', replaced('runs', 'USER', `USER ${user}`), [both, 'runs.first', { class: 'user', before: '0', after: user }]);
  const shell = `/bin/env N=${unique()} /bin/sh -c`;
  add('shell', replaced('runs', 'SHELL', `SHELL ${JSON.stringify(shell.split(' '))}`), [
    both,
    'runs.first',
    { class: 'shell', before: '/bin/sh -c', after: shell },
  ]);
  const first = project.stages.runs.find((line) => line.includes('true first')) ?? '';
  const withMount = first.replace('target=/c', `id=${value},target=/c`);
  add('mount', replaced('runs', 'true first', withMount), [both, 'runs.first', { class: 'mount', object: '/c', change: 'changed' }]);
  const plain = project.stages.runs.find((line) => line.includes('true second')) ?? '';
  const second = plain.replace('RUN', `RUN --mount=type=tmpfs,target=/t${unique()}`);
  add('new mount', replaced('runs', 'true second', second), [['runs.second'], 'runs.second', { class: 'mount', change: 'added' }]);
  add('shm size', { ...project, request: { shmSize: 65536 * unique() } }, [both, 'runs.first', { class: 'option', object: 'shmSize' }]);
  add('ulimit', { ...project, request: { ulimits: [{ name: 'nofile', soft: 1000 + unique(), hard: 4096 + unique() }] } }, [
    both,
    'runs.first',
    { class: 'option', object: 'ulimits' },
  ]);
  add('hosts', { ...project, request: { extraHosts: [`h${unique()}:10.0.0.1`] } }, [
    both,
    'runs.first',
    { class: 'option', object: 'extraHosts' },
  ]);
  add('network', { ...project, request: { network: 'none' } }, [
    both,
    'runs.first',
    { class: 'option', object: 'network', before: 'default', after: 'none' },
  ]);

  const changedRun = `${first} ${value}`;
  add('RUN changed', replaced('runs', 'true first', changedRun), [
    both,
    'runs.first',
    { class: 'instruction', change: 'changed', before: first, after: changedRun },
  ]);
  add('COPY changed', replaced('one', 'COPY src/lib', `COPY src/lib /lib${value}`), [
    folders['src/lib'],
    'one.lib',
    { class: 'instruction', change: 'changed' },
  ]);
  add('chmod', replaced('final', 'COPY top', 'COPY --chmod=600 top.txt /'), [
    ['final.top'],
    'final.top',
    { class: 'instruction', change: 'changed' },
  ]);
  add('RUN added', inserted('runs', 'true first', `RUN true new ${value}`), [
    ['runs.new', 'runs.second'],
    'runs.new',
    { class: 'instruction', change: 'added' },
  ]);
  add('COPY added', inserted('two', 'COPY data', `COPY top.txt /new${value}`), [
    ['two.new', 'two.more'],
    'two.new',
    { class: 'instruction', change: 'added' },
  ]);
  add('last COPY added', inserted('final', 'COPY top', `COPY more/extra /new${value}`), [
    ['final.new'],
    'final.new',
    { class: 'instruction', change: 'added' },
  ]);
  add('RUN removed', removed('runs', 'true first'), [
    ['runs.second'],
    'runs.second',
    { class: 'instruction', change: 'removed', before: first },
  ]);
  add('COPY removed', removed('one', 'COPY src/lib'), [['one.app'], 'one.app', { class: 'instruction', change: 'removed' }]);

  add('base image', { ...project, base: `base ${unique()}` }, [
    ['one.from', ...folders['src/lib']],
    'one.from',
    { class: 'base-image', object: 'docker.io/library/base', change: 'digest' },
  ]);
  add('forced', { ...project, request: { noCacheStages: ['two'] } }, [
    ['two.data', 'two.more'],
    'two.data',
    { class: 'forced', object: '--no-cache-filter' },
  ]);
  add('evicted', project, [['final.top'], 'final.top', { class: 'evicted', object: `rule ${value}` }], {
    evict: { step: 'final.top', rule: `rule ${value}` },
  });
  const app = `src/app/f${pick([1, 2, 10, 11])}.txt`;
  const known = withFile(app, { text: `known ${unique()}`, mode: 0o644 });
  add('file of a known stage', known, [finalFrom('final.app'), 'one.app', { class: 'file', object: app, change: 'content' }], {
    first: { ...known, request: { target: 'one' } },
  });
  mutations.push({ name: 'comment', project: inserted('one', 'COPY src/lib', `# ${value}`), ran: [], root: undefined });
  mutations.push({ name: 'touch', project, ran: [], root: undefined });
  return mutations;
}

function folderOf(path: string): Folder {
  return folderNames.find((folder) => path.startsWith(`${folder}/`)) ?? 'data';
}

function textOf(project: Project, path: string): string {
  const file = project.files.get(path);
  return file !== undefined && 'text' in file ? file.text : '';
}

function shuffled<T>(list: readonly T[], random: () => number): readonly T[] {
  return list
    .map((item) => [random(), item] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, item]) => item);
}

/** Writes the project's context anew: each file has another inode and another time. */
export function writeProject(project: Project, folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [path, file] of project.files) {
    const full = join(folder, path);
    mkdirSync(dirname(full), { recursive: true });
    if ('link' in file) symlinkSync(file.link, full);
    else {
      writeFileSync(full, file.text);
      chmodSync(full, file.mode);
      utimesSync(full, 1_000_000_000 + Math.floor(Math.random() * 1_000_000), 1_000_000_000);
    }
  }
  writeFileSync(join(folder, 'Dockerfile'), Object.values(project.stages).flat().join('\n'));
  writeFileSync(join(folder, '.dockerignore'), project.ignore);
}
