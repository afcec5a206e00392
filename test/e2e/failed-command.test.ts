/** Which command of a RUN failed, as a normal user is told. What root is told stands in black-box.test.ts: by accounts of processes, which a normal user may not have kept. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { normalUser } from '#test/kit/normal-user.ts';
import { openSandbox, runCommand, type Finished } from '#test/kit/sandbox.ts';
import { isToldOfProcesses } from '#test/kit/told-of-processes.ts';
import { mainFile } from '#test/kit/main-file.ts';

/** Builds of a normal user, with a base that the sandbox's user has brought. */
async function openForUser() {
  await using stack = new AsyncDisposableStack();
  const sandbox = stack.use(await openSandbox());
  const user = normalUser(sandbox.folder, { id: 4251 });
  chmodSync(sandbox.folder, 0o755);
  const home = join(sandbox.folder, 'home');
  mkdirSync(home);
  user.owns(home);
  const base = join(sandbox.folder, 'base.tar');
  await sandbox.base('busybox');
  await sandbox.succeed(['save', '-o', base, 'busybox']);
  user.owns(base);
  const typed = async (...words: readonly string[]): Promise<Finished> => {
    const [command, ...before] = user.words;
    const environment = { ...sandbox.environment, JETTISON_STORE: join(home, 'store'), HOME: home };
    return await runCommand(command, [...before, process.execPath, mainFile, ...words], { cwd: home, environment });
  };
  assert.equal((await typed('load', '-i', base)).status, 0);
  const opened = stack.move();
  return {
    /** Builds, and gives what is told of commands. Events that a machine with other things to do has lost say nothing: then it is built again. */
    async told(dockerfile: string): Promise<{ readonly lines: readonly string[]; readonly status: number | null }> {
      for (let left = 10; ; left--) {
        const context = sandbox.files({ Dockerfile: dockerfile });
        const { stderr, status } = await typed('build', '--no-cache', context);
        const lines = stderr.split('\n').filter((line) => /^of \d+ commands|went on/u.test(line));
        if (lines.length > 0 || left === 0) return { lines, status };
      }
    },
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}

if (isToldOfProcesses) tests();
else
  test('where the kernel tells a normal user of no processes, nothing is said of commands', async () => {
    await using project = await openForUser();
    const line = "RUN /bin/ls / && /bin/sh -c 'exit 3' && /bin/ls";
    assert.deepEqual(await project.told(`FROM busybox\n${line}\n`), { lines: [], status: 1 });
  });

function tests(): void {
  test('a normal user is told which command of a RUN failed', async () => {
    await using project = await openForUser();
    const cases = [
      [
        "/bin/ls / >/dev/null && \\\n  /bin/sh -c 'exit 3' && \\\n  /bin/ls",
        `of 3 commands the 2nd failed: "/bin/sh -c 'exit 3'" (Dockerfile:3)`,
      ],
      ["/bin/ls / && /bin/sh -c 'kill -9 $$' && /bin/ls", `of 3 commands the 2nd failed: "/bin/sh -c 'kill -9 $$'" (Dockerfile:2)`],
      ['/bin/ls / && cd /none && /bin/ls', 'of 3 commands the 2nd failed: "cd /none" (Dockerfile:2)'],
      ['/bin/ls / && /bin/true && /bin/false', 'of 3 commands the 3rd failed: "/bin/false" (Dockerfile:2)'],
      ['<<END\nset -e\n/bin/ls /\n/bin/cat /none\n/bin/ls\nEND', 'of 4 commands the 3rd failed: "/bin/cat /none" (Dockerfile:5)'],
    ] as const;
    for (const [run, expected] of cases) {
      assert.deepEqual(await project.told(`FROM busybox\nRUN ${run}\n`), { lines: [expected], status: 1 }, run);
    }
    // Of a pipe, names tell which it was; who is quick has none.
    const { lines } = await project.told('FROM busybox\nRUN /bin/ls / | /bin/grep -q none && exit 4\n');
    assert.match(lines.join('\n'), /^of 3 commands [^\n]*"\/bin\/grep -q none" \(Dockerfile:2\)$/u);
  });

  test('a normal user is told of the step that failed, not of one that runs at the same time', async () => {
    await using project = await openForUser();
    const cache = 'RUN --mount=type=cache,target=/shared';
    const dockerfile = `FROM busybox AS one
${cache} /bin/touch /shared/there && /bin/sh -c 'sleep 1000; exit 5' && /bin/ls
FROM busybox AS two
${cache} /bin/ls / && /bin/true && \\
  /bin/sh -c 'until test -e /shared/there; do sleep 0.05; done; rm /shared/there; exit 5' && /bin/ls
FROM busybox
COPY --from=one / /one
COPY --from=two / /two
`;
    const { lines } = await project.told(dockerfile);
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', /^of 4 commands the 3rd failed: "\/bin\/sh -c 'until [^\n]* \(Dockerfile:5\)$/u);
  });

  test('a normal user is told of a failure that a here-document passed over', async () => {
    await using project = await openForUser();
    assert.deepEqual(await project.told('FROM busybox\nRUN <<END\n/bin/ls / >/dev/null\n/bin/cat /none\n/bin/ls /\nEND\n'), {
      lines: [
        'Warning: the step went on after "/bin/cat /none" (Dockerfile:4) ended with code 1: "set -e" at the beginning of the here-document ends it there',
      ],
      status: 0,
    });
  });
}
