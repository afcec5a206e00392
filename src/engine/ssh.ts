/** SSH agents of one build: opened once, and handed to the steps whose mounts name them. Nothing of SSH is loaded without `--ssh`. */
import { readFileSync, statSync } from 'node:fs';
import type { Op } from '#formats/graph/op.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { SshAgent } from '#stores/ssh/agent.ts';
import type { SecretValue } from './secret-forms.ts';

export type SshAgents = ReadonlyMap<string, SshAgent>;

/**
 * Opens what `--ssh` names; `ownSocket` is the user's agent (SSH_AUTH_SOCK), for those without a path. Throws `engine/no-ssh-agent` and
 * what opening an agent or a key says.
 */
export async function openSshAgents(requests: ReadonlyMap<string, readonly string[]>, ownSocket: string | undefined): Promise<SshAgents> {
  if (requests.size === 0) return new Map();
  const { openSshAgent } = await import('#stores/ssh/agent.ts');
  return new Map([...requests].map(([id, paths]) => [id, openSshAgent(id, paths.length > 0 ? paths : [ownAgent(id, ownSocket)])] as const));
}

function ownAgent(id: string, socket: string | undefined): string {
  if (socket !== undefined && socket !== '') return socket;
  throw new JettisonError('engine/no-ssh-agent', `--ssh "${id}" names no path, and there is no ssh-agent: SSH_AUTH_SOCK is not set`, {
    hint: `Start an ssh-agent and add a key, or name one: --ssh ${id}=PATH`,
  });
}

/** Those that the mounts of an op name, as functions that answer. */
export function agentsFor(
  op: Op,
  agents: SshAgents,
  signal: AbortSignal,
): ReadonlyMap<string, (request: Uint8Array) => Promise<Uint8Array>> {
  if (op.kind !== 'exec') return new Map();
  return new Map(
    op.mounts.flatMap((mount) => {
      const agent = mount.kind === 'ssh' ? agents.get(mount.id) : undefined;
      if (mount.kind !== 'ssh' || agent === undefined) return [];
      return [[mount.id, async (request: Uint8Array) => await agent.answer(request, signal)] as const];
    }),
  );
}

/** Throws `engine/missing-ssh`. */
export function requireAgents(op: Op, agents: SshAgents): void {
  for (const mount of op.kind === 'exec' ? op.mounts : []) {
    if (mount.kind !== 'ssh' || !mount.required || agents.has(mount.id)) continue;
    throw new JettisonError('engine/missing-ssh', `An SSH agent or key "${mount.id}" is required, but was not given`, {
      hint: `Give it: --ssh ${mount.id} for your own agent, or --ssh ${mount.id}=SOCKET|KEY`,
    });
  }
}

/** The key files that `--ssh` names, as they are: what no layer may hold. The keys of an agent are not known. */
export function keyFiles(requests: ReadonlyMap<string, readonly string[]>): readonly SecretValue[] {
  return [...requests].flatMap(([id, paths]) =>
    paths.filter((path) => statSync(path).isFile()).map((path) => ({ id: `ssh:${id}`, bytes: readFileSync(path) })),
  );
}
