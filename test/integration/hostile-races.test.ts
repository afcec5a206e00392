/**
 * A step that shares a cache mount with another swaps folders in there for symbolic links to the host while the other's mounts are made. Each round is a step of its own;
 * `HOSTILE_ROUNDS=1000` makes them more.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { digestOf } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Mount } from '#formats/graph/op.ts';
import { openSnapshotStore, type OpenSnapshotStore } from '#stores/snapshot/store.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import { runExec, type ExecTools } from '#execution/ops/exec.ts';
import { openFileThread, type FileThread } from '#execution/ops/file.ts';
import { openRuntime } from '#execution/runtime/choose.ts';
import { makeBusyboxRoot } from '#test/kit/busybox.ts';
import { makeCanary, type Canary } from '#test/kit/canary.ts';
import { inOwnNamespaces, removeWithMounts } from '#test/kit/own-namespaces.ts';
import { writeSnapshot } from '#test/kit/snapshots.ts';

const rounds = Number(process.env['HOSTILE_ROUNDS'] ?? 40);
const never = new AbortController().signal;

inOwnNamespaces(import.meta.filename, () => {
  for (const only of ['crun', 'runc'] as const) describe(only, () => races(only));
});

function races(only: 'crun' | 'runc'): void {
  let folder = '';
  let snapshots: OpenSnapshotStore;
  let thread: FileThread;
  let tools: ExecTools;
  let base: SnapshotId;
  let canary: Canary;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'jettison-races-'));
    snapshots = await openSnapshotStore({ folder: join(folder, 'snapshots'), now: Date.now });
    thread = openFileThread();
    const runtime = await openRuntime({ folder: join(folder, 'run'), memory: join(folder, 'runtime.json'), only }, () => undefined, never);
    tools = { snapshots, thread, runtime, cacheMounts: join(folder, 'caches'), engine: 12, now: Date.now };
    base = await writeSnapshot(snapshots, undefined, makeBusyboxRoot);
    canary = makeCanary({ watched: ['/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe', '/etc/passwd'] });
  });
  after(async () => {
    canary[Symbol.dispose]();
    await thread[Symbol.asyncDispose]();
    await snapshots[Symbol.asyncDispose]();
    removeWithMounts(folder);
  });

  /** What the step printed, or the code of the error that refused it. */
  async function step(script: string, mounts: readonly Mount[]): Promise<string> {
    const op = {
      kind: 'exec',
      root: 0,
      arguments: ['/bin/sh', '-c', script],
      environment: ['PATH=/bin'],
      workingDirectory: '/',
      user: '',
      network: 'default',
      security: 'sandbox',
      mounts,
      extraHosts: [],
      hostname: '',
      shmSize: null,
    } as const;
    const given = { quietEnvironment: [], secrets: new Map(), agents: new Map() };
    const request = { vertex: digestOf('a step'), op, inputs: [{ kind: 'snapshot', snapshot: base } as const], ...given };
    let said = '';
    try {
      const made = await runExec(request, tools, (event) => void (said += event.kind === 'output' ? event.text : ''), never);
      snapshots.remove([made]);
      return said;
    } catch (error) {
      if (error instanceof JettisonError) return error.code === 'runtime/start-failed' ? error.message : error.code;
      throw error;
    }
  }

  const cache = (target: string, source = '/'): Mount => ({
    kind: 'cache',
    id: `races-${only}`,
    input: null,
    source,
    target,
    sharing: 'shared',
    readOnly: false,
    mode: 0o755,
    uid: 0,
    gid: 0,
  });

  /** Swaps `name` of the cache for a link to the canary until disposed. */
  async function swapping(name: string): Promise<Disposable> {
    await step('true', [cache('/c')]);
    const [place = ''] = readdirSync(tools.cacheMounts).filter((one) =>
      readFileSync(join(tools.cacheMounts, one, 'id'), 'utf8').endsWith(only),
    );
    const data = join(tools.cacheMounts, place, '0/data', name);
    // In a mount namespace of its own, as a step is: there nothing that is mounted here keeps a folder in its place.
    const program = join(import.meta.dirname, 'programs/swap.ts');
    const child = spawn('unshare', ['--mount', process.execPath, program, data, canary.folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    return { [Symbol.dispose]: () => void child.kill('SIGKILL') };
  }

  async function race(context: TestContext, round: () => Promise<string>): Promise<ReadonlyMap<string, number>> {
    const outcomes = new Map<string, number>();
    for (let count = 0; count < rounds; count++) {
      const outcome = await round();
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      canary.assertUnharmed();
    }
    assert.ok(outcomes.size > 1, 'the folder was swapped');
    context.diagnostic(`${only}, ${rounds} rounds: ${JSON.stringify(Object.fromEntries(outcomes))}`);
    return outcomes;
  }

  test(`CVE-2021-30465, CVE-2024-45310, CVE-2025-52881: mounts on a folder that another step swaps for a link to the host (${only})`, async (context) => {
    using _ = await swapping('target');
    const nested: readonly Mount[] = ['/c/target/a/b', '/c/target/d', '/c/target', '/c/target/e/f'].map((target) => ({
      kind: 'tmpfs',
      target,
      size: null,
    }));
    const script = 'touch /c/target/evil /c/target/d/evil /c/target/a/b/evil && echo ok';
    const outcomes = await race(context, async () => await step(script, [cache('/c'), ...nested.slice(0, 2), cache('/c/target/e')]));
    await race(context, async () => await step(script, [cache('/c'), ...nested.slice(2)]));
    for (const outcome of outcomes.keys()) assert.match(outcome, /^(?:ok\n|runtime\/bad-mount-target|ops\/process-failed)$/u);
  });

  test(`CVE-2024-23651: a cache mount's source= that another step swaps for a link to the host (${only})`, async (context) => {
    using _ = await swapping('poisoned');
    const outcomes = await race(context, async () => await step('touch /m/evil; ls /m', [cache('/m', '/poisoned/sub')]));
    assert.ok(
      [...outcomes.keys()].every((outcome) =>
        /^(?:evil\n|touch: .*No such.*\n|ops\/process-failed|linux\/(?:link-on-the-way|not-a-folder|not-found)|runtime\/bad-mount-target)$/u.test(
          outcome,
        ),
      ),
    );
  });
}
