/** What git may do over SSH: ask the keys that were handed out with `--ssh`, and trust the hosts that the user knows. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serveFrames } from '#ground/linux/frame-socket.ts';
import type { GitCommand } from './command.ts';

export type GitAgent = {
  /** Answers one request of the ssh-agent protocol, both without their length. */
  answer(request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
};

/** In seconds, as over HTTP: a host that is not there, or that says nothing more for a minute, ends the fetch. */
const patience = ['ConnectTimeout=30', 'ServerAliveInterval=20', 'ServerAliveCountMax=3'];

export type SshAccess = AsyncDisposable & {
  /** Environment for git. */
  readonly variables: Readonly<Record<string, string>>;
};

/**
 * Serves the agent at a socket of our own while it is not disposed. Neither settings nor key files of this machine count, nobody is asked for
 * passwords, and a host whose key is not among `known_hosts` is not spoken to.
 */
export async function openSshAccess(agent: GitAgent, environment: GitCommand['environment'], signal: AbortSignal): Promise<SshAccess> {
  // The address of a socket is short, and a store's path may be long.
  const folder = mkdtempSync(join(tmpdir(), 'jettison-ssh-'));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  opened.use(await serveFrames({ folder, name: 'agent' }, async (request) => await agent.answer(request, signal)));
  const knownHosts = join(environment['HOME'] ?? '/nonexistent', '.ssh/known_hosts');
  const settings = ['BatchMode=yes', 'IdentityFile=none', 'StrictHostKeyChecking=yes', `UserKnownHostsFile="${knownHosts}"`, ...patience];
  const command = ['ssh', '-F', '/dev/null', ...settings.map((setting) => `-o ${quote(setting)}`)].join(' ');
  const kept = opened.move();
  return {
    variables: { GIT_SSH_COMMAND: command, GIT_SSH_VARIANT: 'ssh', SSH_AUTH_SOCK: join(folder, 'agent') },
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  };
}

/** One word for a shell. */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
