// Plain JavaScript for any Node from 18 on: the first thing that runs in a fresh clone.
//   node scripts/start.mjs COMMAND [ARGS...]
// Brings what COMMAND needs (the npm packages with Node 24 among them; Debian packages), then runs it with Node 24.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { delimiter, join } from 'node:path';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = join(root, 'node_modules/.bin');
const runtime = [['crun', 'runc'], ['unshare']];
const bases = [['mmdebstrap'], ['busybox']];
const checkers = [
  ['skopeo'],
  ['umoci'],
  ['buildah'],
  ['docker-registry'],
  ['python3'],
  ['xz'],
  ['bzip2'],
  ['zstd'],
  ['getcap'],
  ['setfattr'],
];

/** Each command: the Debian packages it needs, and the program. */
const commands = {
  demo: { needs: [...runtime, ...bases], run: ['node', 'scripts/demo.ts'] },
  test: { needs: [...runtime, ...bases, ...checkers], run: ['node', 'scripts/test.ts'] },
  bench: { needs: [...runtime, ...bases, ['buildah'], ['docker-registry']], run: ['node', 'test/bench/bench.ts'] },
};
const packageOf = {
  unshare: 'util-linux',
  busybox: 'busybox-static',
  python3: 'python3',
  xz: 'xz-utils',
  getcap: 'libcap2-bin',
  setfattr: 'attr',
};

function fail(text) {
  console.error(`jettison: ${text}`);
  process.exit(1);
}

function has(command) {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'].some((folder) => existsSync(join(folder, command)));
}

/** npm packages: installed when missing or older than the lock file. */
function bringPackages() {
  const mark = join(root, 'node_modules/.package-lock.json');
  const lock = join(root, 'package-lock.json');
  if (existsSync(mark) && existsSync(join(bin, 'node')) && statSync(mark).mtimeMs >= statSync(lock).mtimeMs) return;
  console.log('jettison: installing npm packages (Node 24 among them)');
  const done = spawnSync('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error'], { cwd: root, stdio: 'inherit' });
  if (done.status !== 0) fail('npm ci failed; see above');
}

/** Debian packages: the first alternative of each need that is missing. */
function bringDebianPackages(needs) {
  const missing = needs.filter((names) => !names.some(has)).map((names) => packageOf[names[0]] ?? names[0]);
  if (missing.length === 0) return;
  const list = missing.join(' ');
  const isDebian = has('apt-get') && existsSync('/etc/debian_version');
  if (!isDebian) fail(`these are missing: ${list}. This is no Debian, so please install them yourself and start again`);
  if (process.getuid() !== 0)
    fail(`these Debian packages are missing: ${list}. Install them as root: apt-get install --no-install-recommends ${list}`);
  console.log(`jettison: installing Debian packages: ${list}`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    execFileSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 'inherit'], env: environment });
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: environment,
    });
  } catch {
    fail(`apt-get could not install: ${list}; see above`);
  }
}

const [name, ...rest] = process.argv.slice(2);
const command = commands[name];
if (command === undefined) fail(`usage: node scripts/start.mjs ${Object.keys(commands).join('|')} [ARGS...]`);
if (process.platform !== 'linux') fail('only Linux is supported');
bringPackages();
bringDebianPackages(command.needs);
const [program, ...fixed] = command.run;
const version = JSON.parse(readFileSync(join(root, 'node_modules/node/package.json'), 'utf8')).version;
if (!version.startsWith('24.')) fail(`node_modules/node is ${version}; Node 24 is needed: run npm ci`);
const done = spawnSync(join(bin, program), [...fixed, ...rest], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin` },
});
process.exit(done.status ?? 1);
