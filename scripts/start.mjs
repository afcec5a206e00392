// Plain JavaScript for any Node from 18 on: the first thing that runs in a fresh clone.
//   node scripts/start.mjs COMMAND [ARGS...]
// Brings what COMMAND needs (the npm packages with Node 24 among them; Debian packages), then runs it with Node 24.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { delimiter, join } from 'node:path';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = join(root, 'node_modules/.bin');
const runtime = [['crun', 'runc'], ['unshare']];
const bases = [['mmdebstrap'], ['busybox']];
/** What gives normal users their subordinate ids. */
const withoutRoot = [['newuidmap']];
const checkers = [
  ['skopeo'],
  ['umoci'],
  ['zsh'],
  ['fish'],
  ['buildah'],
  ['docker-registry'],
  ['python3'],
  ['xz'],
  ['bzip2'],
  ['zstd'],
  ['getcap'],
  ['setfattr'],
  ['ssh-add'],
  ['git'],
  ['newuidmap'],
  ['mkfs.ext4'],
  ['ip'],
  ['ps'],
  ['openssl'],
  ['pasta'],
  ['slirp4netns'],
];

/** Each command: the Debian packages it needs, the program, and whether it is for root alone. */
const commands = {
  demo: { needs: [...runtime, ...bases], run: ['node', 'scripts/demo.ts'] },
  test: { needs: [...runtime, ...bases, ...checkers], run: ['node', 'scripts/test.ts'], isForRoot: true },
  bench: { needs: [...runtime, ...bases, ['buildah'], ['docker-registry']], run: ['node', 'test/bench/bench.ts'], isForRoot: true },
};
const packageOf = {
  unshare: 'util-linux',
  busybox: 'busybox-static',
  python3: 'python3',
  xz: 'xz-utils',
  getcap: 'libcap2-bin',
  setfattr: 'attr',
  'ssh-add': 'openssh-client',
  newuidmap: 'uidmap',
  'mkfs.ext4': 'e2fsprogs',
  ip: 'iproute2',
  ps: 'procps',
  pasta: 'passt',
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
  if (!existsSync(mark) || statSync(mark).mtimeMs < statSync(lock).mtimeMs) {
    console.log('jettison: installing npm packages (Node 24 among them)');
    // Not `npm ci`: it refuses a lock file made where the registry lacked the tools' builds for other platforms.
    runNpm(['install', '--no-save', '--no-fund', '--no-audit', '--loglevel=error'], root);
  }
  // The package `node` brings its program by an install script, which npm skips when it is told to (and from some version on by itself).
  if (existsSync(join(bin, 'node')) && existsSync(join(root, 'node_modules/node/bin/node'))) return;
  console.log('jettison: npm skipped install scripts: bringing Node 24 by the one of the package "node"');
  const done = spawnSync(process.execPath, ['installArchSpecificPackage.js'], {
    cwd: join(root, 'node_modules/node'),
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, npm_config_loglevel: 'error' },
  });
  if (done.status !== 0) fail('Node 24 could not be brought; see above');
  mkdirSync(bin, { recursive: true });
  rmSync(join(bin, 'node'), { force: true });
  symlinkSync('../node/bin/node', join(bin, 'node'));
}

function runNpm(words, cwd) {
  const done = spawnSync('npm', words, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
  if (done.error !== undefined) fail(`npm cannot be started: ${done.error.message}`);
  if (done.status !== 0) fail(`npm ${words[0]} failed; see above`);
}

/** The Debian packages that are missing: the first alternative of each need. Ends here when they cannot be installed, or when this is for root and run by another user. */
function findMissing({ needs, isForRoot = false }) {
  const isRoot = process.getuid() === 0;
  const missing = [...needs, ...(isRoot ? [] : withoutRoot)]
    .filter((names) => !names.some(has))
    .map((names) => packageOf[names[0]] ?? names[0]);
  const list = missing.join(' ');
  const isDebian = has('apt-get') && existsSync('/etc/debian_version');
  if (missing.length > 0 && !isDebian)
    fail(`these are missing (names of Debian packages): ${list}\nThis is no Debian, so please install them yourself and start again.`);
  if (isRoot) return missing;
  if (isForRoot) {
    const install = missing.length === 0 ? '' : `\nThese Debian packages are missing and will be installed then: ${list}`;
    fail(
      `not root. What "${name}" does makes users, mounts and networks; start it as root, for example: sudo node scripts/start.mjs ${name}${install}`,
    );
  }
  if (missing.length > 0) fail(`these Debian packages are missing: ${list}\nInstall them and start again: sudo apt-get install ${list}`);
  return missing;
}

function bringDebianPackages(missing) {
  if (missing.length === 0) return;
  const list = missing.join(' ');
  console.log(`jettison: installing Debian packages: ${list}`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const aptGet = (words) => spawnSync('apt-get', words, { stdio: ['ignore', 'ignore', 'inherit'], env: environment }).status === 0;
  // A source of the machine that has nothing to do with this may be out of order, so only the second counts.
  aptGet(['update', '-qq']);
  if (!aptGet(['install', '-y', '-qq', '--no-install-recommends', ...missing])) fail(`apt-get could not install: ${list}; see above`);
}

const [name, ...rest] = process.argv.slice(2);
const command = commands[name];
if (command === undefined) fail(`usage: node scripts/start.mjs ${Object.keys(commands).join('|')} [ARGS...]`);
if (process.platform !== 'linux') fail('only Linux is supported');
const missing = findMissing(command);
bringPackages();
bringDebianPackages(missing);
const [program, ...fixed] = command.run;
const version = JSON.parse(readFileSync(join(root, 'node_modules/node/package.json'), 'utf8')).version;
if (!version.startsWith('24.')) fail(`node_modules/node is ${version}; Node 24 is needed: run npm install`);
const done = spawnSync(join(bin, program), [...fixed, ...rest], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin` },
});
process.exit(done.status ?? 1);
