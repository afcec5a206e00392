/**
 * Runs the lines of `test/fixtures/docker-lines/*.lines` with Docker's command line and with jettison, and says where exit code, standard output or
 * standard error differ. Wants a `docker` that reaches its engine and has `busybox:latest`; what it makes there it removes again.
 *
 *     node scripts/docker-lines.ts              all files: what differs without a reason beside it
 *     node scripts/docker-lines.ts files -v     those whose name has that word, with what both printed
 *     node scripts/docker-lines.ts --write      all files (or those whose name has a word), and writes their tables in docs/docker-lines.md
 *
 * `DOCKER` names the program, `DOCKER_PLUGINS` the folder of its plugins where that is not the usual one. The folders of the lines are made below
 * TMPDIR, which the engine has to see for binds.
 *
 * In a line `$SIDE` is a digit of the side: both cannot have the same ports and subnets. A file: `# HEADING`, `! LINE` is run on both sides and not compared, `= REASON` below a line says why it differs.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, globSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeWithStore } from '#test/kit/remove-store.ts';

type Line = { readonly heading: string; readonly text: string; readonly silent: boolean; reason?: string };
type Printed = { readonly status: string; readonly stdout: string; readonly stderr: string };
type Side = { readonly folder: string; readonly run: (line: string) => Printed };
type Verdict = 'same' | 'same, and a hint' | 'other words' | 'different';
type Row = Line & { readonly verdict: Verdict; readonly docker: Printed; readonly ours: Printed };

/** How what was made is removed, and how it is listed. */
const listings = {
  'rm -f': 'ps -aq --no-trunc',
  'volume rm': 'volume ls -q',
  'network rm': 'network ls -q --no-trunc',
  'rmi -f': "images --format '{{.Repository}}:{{.Tag}}'",
};
/** Why an error that means the same has other words; undefined where none of these is it. */
const usualReasons: readonly (readonly [why: string, isSo: (theirs: string, mine: string) => boolean])[] = [
  ['told, with what to use instead', (_, mine) => /is not part of docker|is not built/u.test(mine)],
  ["without the words of docker's runtime", (theirs) => /OCI runtime|failed to create task/u.test(theirs)],
  ['docker shows the steps that lead there', (theirs) => theirs.includes('#0 building with')],
  [
    "without Go's words",
    (theirs) =>
      /strconv\.|template:|dial tcp|level=error|(?:open|stat|lstat) \S+: no such|rational number|no local sources|specifier/u.test(theirs),
  ],
  ['names the option, and what it takes', (theirs, mine) => / for "-.*" flag: /u.test(mine) && !theirs.includes('is not supported')],
  [
    "docker's, without the words around it",
    (theirs, mine) => theirs.toLowerCase().includes((mine.split('\n')[0] ?? mine).toLowerCase()) && mine !== '',
  ],
  ['says what to do', (_, mine) => mine.includes('\n')],
];

const root = fileURLToPath(new URL('..', import.meta.url));
const document = join(root, 'docs/docker-lines.md');
const words = process.argv.slice(2);
const verbose = words.includes('-v');
const writes = words.includes('--write');
const chosen = words.find((word) => !word.startsWith('-')) ?? '';

const files = globSync(join(root, 'test/fixtures/docker-lines/*.lines'))
  .toSorted()
  .filter((file) => basename(file).includes(chosen));
const rows = files.flatMap(compareFile);
if (writes) writeFileSync(document, describe(rows));
const open = rows.filter((row) => reasonOf(row) === undefined);
console.log(`${rows.length} lines: ${countVerdicts(rows)}; ${open.length} without a reason`);
for (const { text, verdict } of open) console.log(`${verdict}: ${text}`);
process.exitCode = open.length > 0 ? 1 : 0;

function compareFile(file: string): readonly Row[] {
  const folder = mkdtempSync(join(tmpdir(), 'docker-lines-'));
  const docker = openSide(join(folder, 'docker'), process.env['DOCKER'] ?? 'docker', { SIDE: '1' });
  const store = join(folder, 'jettison/store');
  const ours = openSide(join(folder, 'jettison'), `${process.execPath} -- ${join(root, 'src/main.ts')}`, {
    SIDE: '2',
    JETTISON_STORE: store,
    JETTISON_CONFIG: join(folder, 'config.json'),
    JETTISON_NETWORK: 'none',
  });
  const image = join(folder, 'busybox.tar');
  must(docker, `docker save -o ${image} busybox:latest`);
  must(ours, `docker load -q -i ${image}`);
  const before = listAll(docker);
  try {
    return readLines(file).flatMap((line) => compareLine(line, docker, ours));
  } finally {
    removeNew(docker, before);
    ours.run('docker ps -aq | xargs -r docker rm -f');
    removeWithStore(folder, store);
  }
}

function readLines(file: string): readonly Line[] {
  const lines: Line[] = [];
  let heading = '';
  for (const text of readFileSync(file, 'utf8').split('\n')) {
    const last = lines.at(-1);
    if (text.startsWith('# ')) heading = text.slice(2);
    else if (text.startsWith('= ') && last !== undefined) last.reason = text.slice(2);
    else if (text !== '') lines.push({ heading, text: text.replace(/^! /u, ''), silent: text.startsWith('! ') });
  }
  return lines;
}

function openSide(folder: string, command: string, environment: Readonly<Record<string, string>>): Side {
  const place = (name: string): string => join(folder, name);
  for (const name of ['bin', 'config', 'work']) mkdirSync(place(name), { recursive: true });
  writeFileSync(place('bin/docker'), `#!/bin/sh\nexec ${command} "$@"\n`);
  chmodSync(place('bin/docker'), 0o755);
  const plugins = process.env['DOCKER_PLUGINS'];
  if (plugins !== undefined) symlinkSync(plugins, place('config/cli-plugins'));
  const env = {
    ...process.env,
    ...environment,
    DOCKER_CONFIG: place('config'),
    DOCKER_CLI_HINTS: 'false',
    HOME: folder,
    LC_ALL: 'C',
    TZ: 'UTC',
    PATH: `${place('bin')}:${process.env['PATH'] ?? ''}`,
  };
  return {
    folder: place('work'),
    run: (line) => {
      const done = spawnSync('timeout', ['-s', 'KILL', '60', 'bash', '-c', line], {
        cwd: place('work'),
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
        encoding: 'utf8',
      });
      const mask = (text: string): string => maskOut(text.replaceAll(place('work'), 'F'));
      return { status: done.signal === null ? String(done.status) : 'timeout', stdout: mask(done.stdout), stderr: mask(done.stderr) };
    },
  };
}

/** What no two runs share goes, and the words in front of an error that say who speaks. */
function maskOut(text: string): string {
  return (
    text
      .replaceAll(/\r+\n/gu, '\n')
      .replaceAll('jettison', 'docker')
      .replaceAll('Jettison', 'Docker')
      .replaceAll(/sha256:[0-9a-f]{64}/gu, 'sha256:ID')
      .replaceAll(/\b[0-9a-f]{64}\b/gu, 'ID64')
      .replaceAll(/\b(?=[0-9a-f]*[0-9])[0-9a-f]{12}\b/gu, 'ID12')
      .replaceAll(/(?:Less than a second|About an? \w+|\d+ (?:second|minute|hour|day|week|month|year)s?)(?: ago)?/gu, 'AGO')
      .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| [+-]\d{4} \w+)?/gu, 'TIME')
      .replaceAll(/\b\d+(?:\.\d+)?\s?(?:B|kB|MB|GB)\b/gu, 'SIZE')
      .replaceAll(/\b\d+\.\d+s\b/gu, 'SECONDS')
      .replaceAll(/[\w./-]+\/volumes\//gu, 'VOLUMES/')
      .replaceAll(/"Pid":\d+/gu, '"Pid":N')
      .replaceAll(/\b3[12](0\d\d)\b/gu, '3N$1')
      .replaceAll(/\b10\.([23])[0-9]?[12]\.(?=\d)/gu, '10.$1N.')
      .replaceAll(/\b[a-z]{3,}_[a-z]{3,}\b(?!=)/gu, 'NAME')
      .replaceAll(
        /^(?:ERROR: |Error parsing reference: |Error response from daemon: |docker: (?:Error response from daemon: )?|Error: )/gmu,
        '',
      )
      // What Docker's engine says of the machine it is on.
      .replaceAll(/^(?:WARNING: )?IPv4 forwarding is disabled\. Networking will not work\.\n/gmu, '')
      .replaceAll(/ {2,}/gu, '  ')
  );
}

function must(side: Side, line: string): void {
  const done = side.run(line);
  if (done.status !== '0') throw new Error(`${line}: ${done.stderr}`);
}

function listAll(side: Side): ReadonlyMap<string, readonly string[]> {
  return new Map(Object.entries(listings).map(([remove, list]) => [remove, listOne(side, list)]));
}

/** Without masks: these are names to be removed by. */
function listOne(side: Side, list: string): readonly string[] {
  const listed = join(side.folder, '../listed');
  side.run(`docker ${list} > ${listed}`);
  return readFileSync(listed, 'utf8')
    .split('\n')
    .filter((name) => name !== '' && !name.includes('<none>'));
}

function removeNew(side: Side, before: ReadonlyMap<string, readonly string[]>): void {
  for (const [remove, list] of Object.entries(listings)) {
    const known = new Set(before.get(remove));
    const made = listOne(side, list).filter((name) => !known.has(name));
    if (made.length > 0) side.run(`docker ${remove} ${made.join(' ')}`);
  }
}

function compareLine(line: Line, docker: Side, ours: Side): readonly Row[] {
  const [theirs, mine] = [docker.run(line.text), ours.run(line.text)];
  if (line.silent) {
    if (theirs.status !== '0' || mine.status !== '0')
      console.log(`! ${line.text}\n  docker ${theirs.status} ${theirs.stderr}  here ${mine.status} ${mine.stderr}`);
    return [];
  }
  const row = { ...line, verdict: judge(theirs, mine), docker: theirs, ours: mine };
  if (verbose || (row.verdict === 'different' && row.reason === undefined)) show(row);
  if (row.verdict !== 'different' && row.reason !== undefined) console.log(`no longer different: ${row.text}`);
  return [row];
}

function judge(docker: Printed, ours: Printed): Verdict {
  if (docker.status !== ours.status || docker.stdout !== ours.stdout) return 'different';
  const [theirs, mine] = [errorLines(docker), errorLines(ours)];
  if (theirs.join('\n') === mine.join('\n')) return 'same';
  const low = mine.map((text) => text.toLowerCase());
  const kept = theirs.every((text) => low.some((other) => other.includes(text.toLowerCase())));
  return kept && mine.length <= theirs.length + 1 ? 'same, and a hint' : 'other words';
}

/** Without the lines that point to `--help`. */
function errorLines({ stderr }: Printed): readonly string[] {
  return stderr.split('\n').filter((text) => !/^(?:\s*|Run '.* --help' for more information|See '.* --help'.*|Usage: .*)$/u.test(text));
}

function show({ text, verdict, docker, ours }: Row): void {
  console.log(`===== ${text}  => ${verdict}`);
  if (docker.status !== ours.status) console.log(`  exit: docker ${docker.status}, here ${ours.status}`);
  showSides(docker.stdout, ours.stdout, 'standard output');
  showSides(errorLines(docker).join('\n'), errorLines(ours).join('\n'), 'standard error');
}

function reasonOf({ verdict, reason, docker, ours }: Row): string | undefined {
  if (reason !== undefined || verdict === 'same' || verdict === 'same, and a hint') return reason ?? '';
  if (verdict === 'different') return undefined;
  const [theirs, mine] = [errorLines(docker).join('\n'), errorLines(ours).join('\n')];
  return usualReasons.find(([, isSo]) => isSo(theirs, mine))?.[0];
}

function showSides(theirs: string, mine: string, name: string): void {
  if (theirs === mine) return;
  console.log(`  ${name}`);
  for (const [mark, all] of [
    ['D', theirs],
    ['J', mine],
  ] as const)
    for (const each of all
      .trimEnd()
      .split('\n')
      .slice(0, verbose ? 60 : 20))
      console.log(`    ${mark}|${each.slice(0, 600)}`);
}

function countVerdicts(all: readonly Row[]): string {
  const counts = Map.groupBy(all, ({ verdict }) => verdict);
  return [...counts].map(([verdict, of]) => `${of.length} ${verdict}`).join(', ');
}

/** The document with the tables of what was run in the place of those under the same headings. */
function describe(all: readonly Row[]): string {
  const text = readFileSync(document, 'utf8');
  const start = text.indexOf('\nIn numbers: ');
  const end = text.indexOf('\n## Images exchanged');
  const tables = new Map<string, string>();
  for (const table of text.slice(start, end).split('\n## ').slice(1)) tables.set(table.split('\n', 1)[0] ?? '', table.trimEnd());
  for (const [heading, of] of Map.groupBy(all, (row) => row.heading))
    tables.set(heading, `${heading}\n\n| line | exit | |\n|---|---|---|\n${of.map(describeRow).join('').trimEnd()}`);
  const counts = Map.groupBy(
    [...tables.values()].join('\n').matchAll(/\| (same, and a hint|same|other words|different)(?:: .*)? \|$/gmu),
    ([, verdict]) => verdict,
  );
  const numbers = [...counts].map(([verdict, of]) => `${of.length} ${verdict}`).join(', ');
  return `${text.slice(0, start)}\nIn numbers: ${numbers}.\n\n${[...tables.values()].map((table) => `## ${table}\n`).join('\n')}${text.slice(end)}`;
}

/** In a cell of a table. */
function cell(text: string): string {
  return text.replaceAll('|', String.raw`\|`);
}

function describeRow(row: Row): string {
  const { text, verdict, docker, ours } = row;
  const line = cell(
    text
      .replace('docker ', '')
      .replaceAll('busybox:latest', 'busybox')
      .replaceAll(/\$\{?SIDE\}?/gu, '0'),
  );
  const exit = docker.status === ours.status ? docker.status : `${docker.status}, here ${ours.status}`;
  const said = cell(errorLines(ours).join(' / ').slice(0, 110)).replaceAll('`', "'");
  const why = verdict.startsWith('same') ? '' : `: ${reasonOf(row) ?? 'no reason'}`;
  return `| \`${line}\` | ${exit} | ${verdict}${why}${verdict === 'other words' && said !== '' ? `: \`${said}\`` : ''} |\n`;
}
