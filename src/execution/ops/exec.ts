import { readFileSync } from 'node:fs';
import type { ExecOp } from '#formats/graph/op.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import type { Runtime } from '#execution/runtime/contract.ts';
import { nameFiles } from '#execution/runtime/dns.ts';
import { openRootTree, prepareRoot } from '#execution/runtime/root.ts';
import { accountFileLimit, resolveUser } from '#execution/runtime/user.ts';

export type ExecTools = { readonly snapshots: SnapshotStore; readonly runtime: Runtime; readonly cacheMounts: string };

export async function runExec(
  request: {
    readonly op: ExecOp;
    readonly vertex: Digest;
    readonly inputs: readonly (({ readonly kind: string } & { snapshot?: SnapshotId }) | undefined)[];
    readonly quietEnvironment: readonly string[];
  },
  tools: ExecTools,
  report: Report,
  signal: AbortSignal,
): Promise<SnapshotId> {
  const { op } = request;
  const input = op.root === null ? undefined : request.inputs[op.root];
  await using active = await tools.snapshots.prepare(input?.snapshot, signal);
  {
    await using mounted = await active.mount(signal);
    using tree = openRootTree(mounted.path);
    const names = nameFiles({
      hostname: op.hostname || 'buildkitsandbox',
      extraHosts: op.extraHosts,
      hostResolvConf: readFileSync('/etc/resolv.conf', 'utf8'),
      readOnly: true,
    });
    const prepared = prepareRoot(tree, [], op.workingDirectory);
    const user = resolveUser(op.user, {
      passwd: tree.readText('etc/passwd', accountFileLimit),
      group: tree.readText('etc/group', accountFileLimit),
    });
    const take = (stream: 'stdout' | 'stderr') => (bytes: Uint8Array) =>
      report({ kind: 'output', vertex: request.vertex, stream, text: new TextDecoder().decode(bytes), time: Date.now() });
    const status = await tools.runtime.run(
      {
        id: `b${active.id}-${Date.now()}`,
        rootfs: mounted.path,
        arguments: op.arguments,
        environment: [
          ...op.environment,
          ...request.quietEnvironment,
          ...(op.environment.some((one) => one.startsWith('HOME=')) ? [] : [`HOME=${user.home}`]),
        ],
        workingDirectory: op.workingDirectory,
        user,
        security: 'sandbox',
        network: op.network === 'none' ? 'none' : 'host',
        hostname: op.hostname || 'buildkitsandbox',
        terminal: false,
        shmSize: op.shmSize,
        mounts: [],
        names,
      },
      { kind: 'capture', stdout: take('stdout'), stderr: take('stderr') },
      signal,
    );
    prepared.clean();
    if (status.code !== 0)
      throw new JettisonError(
        'ops/process-failed',
        `process "${op.arguments.join(' ')}" did not complete successfully: exit code: ${status.code}${status.signal ? ` (killed by signal ${status.signal})` : ''}`,
      );
  }
  return (await active.commit(signal)).id;
}
