/**
 * `docker buildx build` with the daemon that DOCKER_HOST names. Its build cache is pruned before cold runs, so it takes part only when
 * DOCKER_HOST is set: that must be a daemon one can spare.
 */
import { existsSync } from 'node:fs';
import type { Builder } from '../builder.ts';
import { firstLine, runQuietly, type Command } from '../command.ts';
import { findListeners } from '../processes.ts';

const prefix = 'jettison-bench-';
const local = '127.0.0.1:';

/** Undefined without DOCKER_HOST, or where docker's client has no buildx. */
export function openBuildx(): Builder | undefined {
  const host = process.env['DOCKER_HOST'];
  const version = host === undefined ? undefined : firstLine(docker('buildx', 'version'));
  if (host === undefined || version === undefined) return undefined;
  const server = firstLine(docker('version', '--format', '{{.Server.Version}}')) ?? 'unknown';
  const socket = host.startsWith('unix://') ? host.slice('unix://'.length) : '';
  const listeners = existsSync(socket) ? findListeners(socket) : [];
  const forget = (bases: readonly string[]): void => {
    const names = runQuietly(docker('images', '--format', '{{.Repository}}:{{.Tag}}')).split('\n');
    const ours = names.filter((name) => name.startsWith(prefix) || name.startsWith(local));
    const unwanted = ours.filter((name) => !bases.includes(name));
    if (unwanted.length > 0) runQuietly(docker('rmi', '-f', ...unwanted));
    runQuietly(docker('builder', 'prune', '-af'));
    runQuietly(docker('image', 'prune', '-f'));
    for (const base of bases) runQuietly(docker('pull', '-q', base));
  };
  return {
    name: 'buildx',
    version: `${version.split(' ')[1] ?? version}, docker ${server}`,
    build: ({ context, file, tag }) =>
      docker('buildx', 'build', '--network=host', '--progress=plain', '-t', tagOf(tag), '-f', file, context),
    forget,
    pull: (tag) => docker('pull', tag),
    push: (tag) => docker('push', tag),
    daemons: () => listeners,
    close: () => forget([]),
  };
}

function docker(...words: readonly string[]): Command {
  return { program: 'docker', words, environment: { BUILDX_BUILDER: 'default' } };
}

/** The registries of bases and of timed pushes are on this machine; a name without one gets a prefix to be known by. */
function tagOf(tag: string): string {
  return tag.startsWith(local) ? tag : `${prefix}${tag}`;
}
