/** Starts of the payloads of test/fixtures/payloads, good and bad, and how they end. */

export type PayloadCase = {
  readonly name: string;
  /** The stage of the Dockerfile. */
  readonly tree: 'bare' | 'box' | 'deb' | 'deb-cached' | 'deb-closed-cache' | 'deb-system' | 'musl' | 'musl-system' | 'old';
  readonly words: readonly string[];
  /** undefined: whatever the runtime does, which depends on the machine's own C library. */
  readonly starts: boolean | undefined;
  readonly environment?: readonly string[];
  /** uid and gid. */
  readonly user?: number;
  readonly folder?: string;
};

type More = Partial<Omit<PayloadCase, 'tree' | 'words' | 'starts'>>;

function good(tree: PayloadCase['tree'], words: string | readonly string[], more: More = {}): PayloadCase {
  return caseOf(tree, words, { ...more, starts: true });
}

function bad(tree: PayloadCase['tree'], words: string | readonly string[], more: More = {}): PayloadCase {
  return caseOf(tree, words, { ...more, starts: false });
}

function caseOf(tree: PayloadCase['tree'], words: string | readonly string[], more: More & Pick<PayloadCase, 'starts'>): PayloadCase {
  const all = typeof words === 'string' ? [words] : words;
  const { environment = [], user, folder } = more;
  const name = [
    tree,
    ...environment,
    ...(user === undefined ? [] : [`uid ${user}`]),
    ...(folder === undefined ? [] : [folder]),
    JSON.stringify(all),
  ].join(' ');
  return { name, tree, words: all, ...more };
}

const libraryPath = (path: string): More => ({ environment: [`LD_LIBRARY_PATH=${path}`] });
const path = (folders: string): More => ({ environment: [`PATH=${folders}`] });
const user = 1000;

const programs: readonly PayloadCase[] = [
  good('bare', '/p/bin/static'),
  good('bare', '/p/bin/static-pie'),
  bad('bare', '/p/bin/dynamic'),
  bad('bare', '/p/bin/fixed'),
  bad('box', '/p/bin/dynamic'),
  good('deb', '/p/bin/dynamic'),
  good('deb', '/p/bin/fixed'),
  good('deb', '/p/bin/parses'),
  caseOf('old', '/p/bin/dynamic', { starts: undefined }),
  caseOf('old', '/p/bin/parses', { starts: undefined }),
  bad('deb', '/p/bin/no-loader'),
  good('deb', '/p/bin/relative-loader'),
  bad('deb', '/p/bin/relative-loader', { folder: '/p' }),
  bad('deb', '/p/bin/closed-loader'),
  bad('deb', '/p/bin/arm-loader'),
  bad('deb', '/p/bin/text-loader'),
  bad('bare', '/p/bin/arm'),
  bad('bare', '/p/bin/relocatable'),
  bad('bare', '/p/bin/cut'),
  bad('bare', '/p/bin/empty'),
  bad('bare', '/p/bin/no-x'),
  bad('bare', '/p/bin/folder'),
  bad('bare', '/p/bin/nothing'),
  bad('bare', '/p/bin/static/x'),
  good('bare', '/p/bin/owner-only'),
  bad('bare', '/p/bin/owner-only', { user }),
  good('bare', '/p/closed/program'),
  bad('bare', '/p/closed/program', { user }),
  good('bare', '/p/bin/static', { user }),
  good('bare', '/p/closed/link'),
  bad('bare', '/p/closed/link', { user }),
  good('bare', '/p/bin/link40'),
  bad('bare', '/p/bin/link41'),
  bad('bare', '/p/none/../bin/static'),
  bad('bare', '/p/bin/static/'),
  bad('bare', '/p/bin/static/../static'),
  bad('bare', '/p/bin/static', { folder: '/p/bin/static/x' }),
  good('bare', '/p/bin/static', { user, folder: '/p/closed' }),
  bad('bare', './program', { user, folder: '/p/closed' }),
  bad('deb', '/p/bin/suid-no-loader', { user }),
  bad('deb', '/p/bin/suid-foo', { user }),
];

const libraries: readonly PayloadCase[] = [
  bad('deb', '/p/bin/foo'),
  good('deb', '/p/bin/foo', libraryPath('/p/lib')),
  good('deb', '/p/bin/foo', libraryPath('/nowhere:/p/opt')),
  good('deb', '/p/bin/foo', { ...libraryPath(':/nowhere'), folder: '/p/lib' }),
  good('deb', '/p/bin/foo', { ...libraryPath('lib'), folder: '/p' }),
  good('deb-system', '/p/bin/foo'),
  good('deb-cached', '/p/bin/foo'),
  bad('deb', '/p/bin/foo-origin'),
  good('deb', '/p/bin/foo-origin', { folder: '/p/lib', ...libraryPath('.') }),
  good('deb', '/p/bin/foo-braces'),
  good('deb', '/p/bin/foo-rpath'),
  bad('deb', '/p/bin/foo-runpath'),
  good('deb', '/p/bin/foo-runpath', libraryPath('/p/lib')),
  bad('deb', '/p/bin/foo-nowhere'),
  bad('deb', '/p/bin/foo-empty'),
  good('deb', '/p/bin/foo-empty', { folder: '/p/lib', ...libraryPath('/p/lib') }),
  good('deb-system', '/p/bin/foo-lib'),
  good('deb-system', '/p/bin/foo-platform'),
  good('deb', '/p/bin/needs-path', { folder: '/p' }),
  bad('deb', '/p/bin/needs-path'),
  bad('deb', '/p/bin/half-runpath'),
  good('deb', '/p/bin/half-rpath'),
  ...['text', 'arm', 'empty', 'dangling', 'loop', 'folder'].map((folder) => bad('deb', '/p/bin/foo', libraryPath(`/p/odd/${folder}`))),
  good('deb', '/p/bin/foo', libraryPath('/p/odd/arm:/p/lib')),
  bad('deb', '/p/bin/foo', libraryPath('/p/odd/text:/p/lib')),
  good('deb', '/p/bin/foo', libraryPath('/p/odd/dangling:/p/lib')),
  good('deb', '/p/bin/foo', libraryPath('/p/odd/link')),
  good('deb', '/p/bin/foo', libraryPath('/p/odd/unreadable')),
  bad('deb', '/p/bin/foo', { ...libraryPath('/p/odd/unreadable'), user }),
  good('deb', '/p/bin/versioned', libraryPath('/p/v2')),
  bad('deb', '/p/bin/versioned', libraryPath('/p/v1')),
  good('deb', '/p/bin/versioned', libraryPath('/p/v0')),
];

const hiddenLibraries: readonly PayloadCase[] = [
  bad('deb', '/p/bin/foo-gone'),
  good('deb', '/p/bin/foo-closed'),
  bad('deb', '/p/bin/foo-closed', { user }),
  bad('deb', '/p/bin/filter'),
  good('deb', '/p/bin/foo', { environment: ['LD_PRELOAD=/p/lib/libfoo.so.1:/p/lib/libbar.so.1'] }),
  good('deb', '/p/bin/foo', { environment: ['LD_PRELOAD=/p/none.so libbar.so.1 /p/lib/libfoo.so.1', 'LD_LIBRARY_PATH=/p/lib'] }),
  bad('deb', '/p/bin/foo', { environment: ['LD_PRELOAD=/p/lib/libfoo.so.1'] }),
  good('deb-closed-cache', '/p/bin/foo'),
  bad('deb-closed-cache', '/p/bin/foo', { user }),
];

const scripts: readonly PayloadCase[] = [
  ...['sh', 'spaces', 'env', 'env-split', 'script-of-script', 'relative'].map((name) => good('deb', `/p/scripts/${name}`)),
  good('box', '/p/scripts/sh'),
  good('box', '/p/scripts/sh-body-crlf'),
  good('deb', '/p/scripts/bash'),
  bad('box', '/p/scripts/bash'),
  bad('bare', '/p/scripts/sh'),
  good('deb', '/p/scripts/dynamic-interpreter'),
  bad('box', '/p/scripts/dynamic-interpreter'),
  bad('deb', '/p/scripts/relative', { folder: '/p' }),
  ...[
    'sh-crlf',
    'sh-option-crlf',
    'env-crlf',
    'env-two',
    'env-missing',
    'env-split-missing',
    'nowhere',
    'empty-name',
    'no-shebang',
    'itself',
  ].map((name) => bad('deb', `/p/scripts/${name}`)),
  ...['folder', 'plain-interpreter', 'text-interpreter', 'long'].map((name) => bad('deb', `/p/scripts/${name}`)),
  bad('box', '/p/scripts/sh-option-crlf'),
  good('deb', '/p/scripts/unreadable'),
  bad('deb', '/p/scripts/unreadable', { user }),
  bad('box', '/p/scripts/env-crlf'),
  good('deb', '/p/scripts/nul'),
  good('deb', '/p/scripts/env-split-quoted'),
  good('deb', '/p/scripts/env-split-options'),
  bad('deb', '/p/scripts/env-split-options-missing'),
  good('deb', '/p/scripts/env-split-variable', { environment: ['SHELL_NAME=sh'] }),
  bad('deb', '/p/scripts/env-split-variable', { environment: ['SHELL_NAME=nothing'] }),
];

const commands: readonly PayloadCase[] = [
  good('bare', 'tool', path('/p/path1:/p/path2')),
  bad('bare', 'tool', path('/p/path1')),
  bad('bare', 'tool', path('/p/bin')),
  bad('bare', 'tool'),
  good('bare', 'linked', path('/p/path2')),
  bad('bare', 'dangling', path('/p/path2')),
  bad('bare', 'loop', path('/p/path2')),
  good('bare', './static', { folder: '/p/bin' }),
  good('bare', 'bin/static', { folder: '/p' }),
  bad('bare', './static', { folder: '/p' }),
  good('deb', ['/bin/sh', '-c', '/p/bin/static']),
  good('deb', ['/bin/sh', '-c', 'exec /p/bin/dynamic --flag']),
  good('deb', ['/bin/sh', '-c', 'echo started']),
  good('deb', ['/bin/sh', '-c', '/p/bin/nothing || echo started']),
  good('deb', ['/bin/sh', '-c', '/p/scripts/no-shebang']),
  bad('deb', ['/bin/sh', '-c', '/p/bin/nothing']),
  bad('deb', ['/bin/sh', '-c', '/p/bin/no-x']),
  bad('deb', ['/bin/sh', '-c', 'nothing --flag']),
  bad('deb', ['/bin/bash', '-c', '/p/bin/foo']),
  bad('bare', ['/bin/sh', '-c', '/p/bin/static']),
  good('box', ['sh', '-c', '/p/bin/static']),
  bad('box', ['sh', '-c', '/p/bin/dynamic']),
  good('deb', ['/bin/sh', '-c', 'exec /p/bin/static "$HOME" \'a b\' > /dev/stdout 2>&1']),
  bad('deb', ['/bin/sh', '-c', 'exec /p/bin/nothing "$HOME" \'a b\' > /dev/stdout 2>&1']),
  bad('deb', ['/bin/sh', '-c', '/p/bin/nothing --port ${PORT:-80} # and so on']),
  bad('deb', ['/bin/sh', '-c', 'LEVEL="$HOME" "/p/bin/nothing"']),
  good('deb', ['/bin/sh', '-c', 'exec $APP'], { environment: ['APP=/p/bin/static'] }),
  bad('deb', ['/bin/sh', '-c', 'exec $APP'], { environment: ['APP=/p/bin/nothing'] }),
  good('deb', ['/bin/sh', '-c', 'exec "$@"', '--', '/p/bin/static']),
  bad('deb', ['/bin/sh', '-c', 'exec "$@"', '--', '/p/bin/nothing']),
  good('deb', ['/bin/sh', '-c', '/p/bin/nothing --flag | echo started']),
  good('deb', ['/bin/sh', '-c', '/p/bin/nothing "$HOME"; echo started']),
  good('deb', ['/bin/sh', '-c', '/p/bin/stati[c] --flag']),
  bad('box', ['/bin/busybox', 'sh', '-c', '/p/bin/dynamic']),
  bad('deb', ['/bin/bash', '-o', 'pipefail', '-c', '/p/bin/nothing']),
  good('deb', ['/bin/bash', '-euo', 'pipefail', '-c', '/p/bin/static --flag']),
  good('deb', ['/bin/sh', '/p/scripts/sh-body-crlf']),
  good('deb', ['bash', '-e', 'scripts/sh'], { folder: '/p' }),
  bad('deb', ['bash', '-e', 'scripts/sh']),
  bad('deb', ['/bin/sh', '/p/scripts/nothing', '--flag']),
  bad('box', ['sh', 'nothing.sh']),
  good('deb', ['env', 'A=b', '/p/bin/static']),
  bad('deb', ['env', 'A=b', '/p/bin/nothing']),
  bad('deb', ['/usr/bin/env', '-i', '-u', 'X', '/p/bin/foo']),
  good('deb', ['env', 'LD_LIBRARY_PATH=/p/lib', '/p/bin/foo']),
  good('deb', ['env', 'PATH=/p/path2', 'tool']),
  bad('deb', ['env', '-u', 'LD_LIBRARY_PATH', '/p/bin/foo'], libraryPath('/p/lib')),
];

const inShell = (...texts: readonly string[]): readonly (readonly string[])[] =>
  texts.flatMap((text) => ['/bin/sh', '/bin/bash'].map((shell) => [shell, '-c', text]));
const inBox = (text: string): readonly string[] => ['sh', '-c', text];

const lists: readonly PayloadCase[] = [
  ...inShell(
    'cd /p/bin && ./static',
    'cd /p; bin/static',
    '/p/bin/static && /p/bin/static',
    'set -e; /p/bin/nothing || true; echo started',
    '[ -f /nowhere ] && /p/bin/nothing; echo started',
    'test -f /nowhere || /p/bin/static',
    '/p/bin/nothing & exec /p/bin/static',
    'export LD_LIBRARY_PATH=/p/lib; exec /p/bin/foo',
    'LD_LIBRARY_PATH=/p/lib /p/bin/foo',
    'PATH=/p/path2:$PATH; exec tool',
    'PATH=/p/path2 tool',
    'set -- /p/bin/static; exec "$@"',
    'A=$(echo /p/bin); $A/static',
    'trap "echo end" EXIT; /p/bin/static',
    'exec /p/bin/static; /p/bin/nothing',
    '/p/bin/static; exit 0; /p/bin/nothing',
    '! /p/bin/nothing && echo started',
    '# text\n/p/bin/static \\\n  --flag\n',
  ).map((words) => good('deb', words)),
  ...inShell(
    'cd /p/bin && ./nothing',
    'cd /p/bin; exec ./nothing',
    '/p/bin/nothing && echo started',
    'echo no && /p/bin/nothing',
    'echo no; /p/bin/nothing',
    'echo no | /p/bin/nothing',
    'set -e; /p/bin/nothing; echo started',
    'set -eu\n/p/bin/nothing\necho started',
    'true & exec /p/bin/nothing',
    'export LD_LIBRARY_PATH=/nowhere; exec /p/bin/foo',
    'unset LANG; exec /p/bin/foo',
    'PATH=/nowhere tool',
    'PATH=/nowhere; exec tool',
    'exec nice -n 3 /p/bin/nothing',
    'exec timeout -s KILL 5 /p/bin/foo',
  ).map((words) => bad('deb', words)),
  good('deb', inBox('cd /p/closed && ./program')),
  bad('deb', inBox('cd /p/closed && ./program'), { user }),
  bad('deb', ['/bin/sh', '-c', 'shift; exec "$@"', '--', 'x', '/p/bin/nothing']),
  good('box', inBox('cd /p/bin && ./static')),
  bad('box', inBox('cd /p/bin && ./dynamic')),
  good('box', inBox('PATH=/p/path2 tool')),
  bad('box', inBox('set -e; /p/bin/dynamic; echo started')),
  good('box', inBox('/p/bin/dynamic; echo started')),
  bad('box', inBox('PATH=/p/path1 tool')),
  bad('box', inBox('nothing --flag')),
  bad('box', ['/p/scripts/entry', 'nothing']),
  good('box', ['/p/scripts/entry', 'echo', 'started']),
  bad('box', inBox('mkdir -p /tmp/x; exec /p/bin/dynamic')),
  bad('box', inBox('exec timeout 5 /p/bin/dynamic')),
  good('box', inBox('exec timeout 5 /p/bin/static')),
  good('deb', ['nice', '/p/bin/static']),
  bad('deb', ['nice', '/p/bin/foo']),
  bad('deb', ['timeout', '5', 'nothing']),
];

const entries: readonly PayloadCase[] = [
  ...['entry', 'entry-env', 'entry-twice'].flatMap((name) => [
    good('deb', [`/p/scripts/${name}`, '/p/bin/static']),
    bad('deb', [`/p/scripts/${name}`, '/p/bin/nothing']),
    bad('deb', ['/bin/sh', `/p/scripts/${name}`, '/p/bin/no-loader']),
    good('box', ['sh', `/p/scripts/${name}`, '/p/bin/static']),
    bad('box', [`/p/scripts/${name}`, '/p/bin/dynamic']),
  ]),
  good('deb', ['/p/scripts/entry-env', 'bin/foo']),
  bad('deb', ['/p/scripts/entry', '/p/bin/foo']),
  bad('deb', '/p/scripts/ends-on-failure'),
  good('deb', '/p/scripts/goes-on'),
  bad('deb', ['/bin/sh', '-e', '/p/scripts/goes-on']),
  good('deb', '/p/scripts/calls-itself'),
];

const musl: readonly PayloadCase[] = [
  good('musl', '/p/musl/plain'),
  bad('deb', '/p/musl/plain'),
  bad('box', '/p/musl/plain'),
  bad('musl', '/p/bin/dynamic'),
  bad('musl', '/p/musl/foo'),
  good('musl-system', '/p/musl/foo'),
  good('musl', '/p/musl/foo', libraryPath('/p/musl/lib')),
  bad('musl', '/p/musl/foo', libraryPath('/p/musl/text')),
  good('musl', '/p/musl/foo-origin'),
  good('musl', '/p/musl/deep-runpath'),
];

export const payloadCases: readonly PayloadCase[] = [
  ...programs,
  ...libraries,
  ...hiddenLibraries,
  ...scripts,
  ...commands,
  ...lists,
  ...entries,
  ...musl,
];
