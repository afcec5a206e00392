/** What the kernel tells of processes, as it is: needs Linux 6.6, and the machine's own namespaces. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { openProcessEvents, ownName, renameThread, type ProcessEvent } from '#ground/linux/process-events.ts';
import { createProcessWatch, type ProcessWatch } from '#ground/linux/process-watch.ts';
import { spawnProgram } from '#ground/linux/posix-spawn.ts';
import { witnessedAccounts } from '#ground/linux/witnessed-processes.ts';
import { isToldOfProcesses } from '#test/kit/told-of-processes.ts';

if (isToldOfProcesses) tests();
else test('this process is told of no others', () => assert.equal(openProcessEvents(), undefined));

/** Others may start so much at once that the kernel has no room for all of it: then nothing is said, which is no fault, and it is tried again. */
async function untilTold<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  for (let left = 100; left > 0; left--) {
    const told = await attempt();
    if (told !== undefined) return told;
  }
  throw new assert.AssertionError({ message: 'nothing was told' });
}

/** A shell that is told what a runtime is to do: it starts another one, which is the container. */
async function runBelow(watch: ProcessWatch, script: string, code: number) {
  const accounts = witnessedAccounts({
    follow: async (mark) => await Promise.resolve(watch.follow(mark)),
    endedBelow: async (mark, its) => await watch.endedBelow(mark, its),
    leave: (mark) => watch.leave(mark),
  });
  using followed = await accounts.follow();
  if (followed === undefined) return undefined;
  const words = ['/bin/sh', '-c', '/bin/sh -c "$1"; exit $?', 'sh', script];
  const runtime = followed.around(() =>
    spawnProgram({ file: '/bin/sh', arguments: words, environment: [], folder: '/', streams: ['nothing', 'nothing', 'nothing'] }),
  );
  assert.deepEqual(await runtime.ended, { code });
  return await followed.endedBelow({ pid: undefined, program: '/bin/sh', code });
}

function tests(): void {
  test('how the children of a process ended is told by the kernel, of several at once', async () => {
    using watch = createProcessWatch();
    const scripts = ['/bin/true; (exit 3); /bin/sh -c "kill -9 \\$\\$"; /bin/sh -c "/bin/false"; exit 7', '/bin/false; /bin/true; exit 8'];
    const [one, other] = await untilTold(async () => {
      const both = await Promise.all(scripts.map(async (script, at) => await runBelow(watch, script, 7 + at)));
      return both.every((each) => each?.isWhole === true) ? both : undefined;
    });
    assert.ok(one);
    assert.equal(one.own, 'sh');
    assert.deepEqual(
      one.children.map(({ code }) => code),
      [0, 3, 137, 1],
    );
    assert.equal(one.children[1]?.name, 'sh', 'a copy');
    assert.deepEqual(
      other?.children.map(({ code }) => code),
      [1, 0],
    );
  });

  test('a program that is there long enough is known by its name', async () => {
    using watch = createProcessWatch();
    let name: string | undefined;
    for (let seconds = 0.05; name === undefined; seconds *= 2) {
      const ended = await runBelow(watch, `/bin/sleep ${seconds}; exit 1`, 1);
      name = ended?.children[0]?.name;
    }
    assert.equal(name, 'sleep');
  });

  test('names are told of whoever takes one, and this process has its own again afterwards', async () => {
    const seen = await untilTold(async () => {
      using events = openProcessEvents();
      if (events === undefined) return undefined;
      const [before, name] = [ownName(), randomBytes(7).toString('hex')];
      renameThread(new TextEncoder().encode(`${name}\0`));
      renameThread(before);
      const told: ProcessEvent[] = [];
      if (events.take((event) => void told.push(event)) === undefined) return undefined;
      const own = told.filter((event) => event.kind === 'name' && event.process === process.pid);
      assert.deepEqual(own[0], { kind: 'name', process: process.pid, name });
      assert.deepEqual(ownName(), before);
      const child = spawn('/bin/sh', ['-c', 'exit 6']);
      await once(child, 'exit');
      return events.isListening((event) => void told.push(event)) ? { told, pid: child.pid ?? 0 } : undefined;
    });
    const { told, pid } = seen;
    assert.ok(told.some((event) => event.kind === 'start' && event.process === pid && event.parent === process.pid));
    assert.ok(told.some((event) => event.kind === 'program' && event.process === pid));
  });

  test('that another one begins to listen is nothing that was lost', async () => {
    await untilTold(async () => {
      using events = openProcessEvents();
      for (let left = 10; left > 0; left--) {
        openProcessEvents()?.[Symbol.dispose]();
        // On whichever processor it runs.
        await once(spawn('/bin/true'), 'exit');
        if (events?.isListening(() => undefined) !== true) return undefined;
      }
      return true;
    });
  });

  test('what nobody took in time is known to be lost, and the next one listens again', async () => {
    using events = await untilTold(async () => await Promise.resolve(openProcessEvents()));
    using watch = createProcessWatch();
    assert.equal(await untilTold(async () => await Promise.resolve(watch.follow('lost') || undefined)), true);
    const name = ownName();
    // Each is an event; what is asked for holds less than these.
    for (let left = 20_000; left > 0; left--) renameThread(name);
    assert.equal(
      events.take(() => undefined),
      undefined,
    );
    assert.equal(
      events.isListening(() => undefined),
      false,
    );
    assert.equal(await watch.endedBelow('lost', 0), undefined);
    await untilTold(async () => ((await runBelow(watch, '/bin/false; exit 2', 2))?.isWhole === true ? true : undefined));
  });
}
