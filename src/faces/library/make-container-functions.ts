/** Containers of a store. */
import { resolve } from 'node:path';
import type { Engine } from '#engine/open.ts';
import type { ContainerRow } from '#engine/container-requests.ts';
import type { Calls } from './calls.ts';
import type { ContainerEntry, ContainerFunctions, ContainerLogOptions } from './container-functions.ts';
import { takeUntil } from './given-streams.ts';

export function containerFunctions(calls: Calls): ContainerFunctions {
  return { ...lookingFunctions(calls), ...startingFunctions(calls), ...endingFunctions(calls) };
}

type Looking = 'list' | 'inspect' | 'wait' | 'logs' | 'write';

function lookingFunctions({ call, stream }: Calls): Pick<ContainerFunctions, Looking> {
  return {
    list: async (given) =>
      await call(given, async (engine) => {
        const { listContainers } = await import('#engine/containers.ts');
        const { all = false, filters = [] } = given ?? {};
        return await Promise.resolve(listContainers(engine, { all, filters }).map(entryOf));
      }),
    inspect: async (container, given) =>
      await call(given, async (engine) => {
        const { inspect } = await import('#engine/inspect.ts');
        return await inspect(engine, container, 'container');
      }),
    wait: async (container, given) =>
      await call(given, async (engine, signal) => {
        const { waitForContainer } = await import('#engine/container-life.ts');
        return await waitForContainer(engine, await find(engine, container), signal);
      }),
    logs: (container, given) =>
      stream(given, async (engine, give, signal) => {
        const { readLogs } = await import('#engine/container-logs.ts');
        const take = async ({
          stream: name,
          log,
          time,
        }: {
          readonly stream: 'stdout' | 'stderr';
          readonly log: string;
          readonly time: string;
        }) => await give({ stream: name, text: log, time });
        await readLogs(engine, { container, ...logRequest(given) }, take, signal);
      }),
    write: async (container, path, from, given) =>
      await call(given, async (engine, signal) => {
        const { copyTo } = await import('#engine/copy-to.ts');
        const { cleanPath } = await import('#engine/copy-rules.ts');
        const source = typeof from === 'string' ? cleanPath(from, resolve(engine.currentFolder)) : takeUntil(from, signal);
        const request = { container, path, followLink: false, keepsOwners: given?.keepOwners === true, from: source };
        await copyTo(engine, request, () => undefined, signal);
      }),
  };
}

type Starting = 'create' | 'run' | 'start' | 'attach' | 'exec';

function startingFunctions(calls: Calls): Pick<ContainerFunctions, Starting> {
  const { told } = calls;
  return {
    create: async (options, given) =>
      await told(given, async (engine, report, signal) => {
        const { containerRequest } = await import('./container-request.ts');
        const { createContainer } = await import('#engine/create-container.ts');
        const { fillVolumes } = await import('#engine/container-files.ts');
        const id = await createContainer(engine, containerRequest(options, false, engine.currentFolder), report, signal);
        await fillVolumes(engine, id, report, signal);
        return id;
      }),
    run: async (options, given = {}) => {
      const { runContainer } = await import('./open-container-process.ts');
      return await runContainer(calls, options, given);
    },
    start: async (container, given) =>
      await told(given, async (engine, report, signal) => {
        const { startContainer } = await import('#engine/launch.ts');
        await startContainer(engine, await find(engine, container), report, signal);
      }),
    attach: async (container, given = {}) => {
      const { attachTo } = await import('./open-container-process.ts');
      return await attachTo(calls, container, given);
    },
    exec: async (container, options) => {
      const { execIn } = await import('./open-container-process.ts');
      return await execIn(calls, container, options);
    },
  };
}

type Ending = 'stop' | 'kill' | 'remove';

function endingFunctions({ call }: Calls): Pick<ContainerFunctions, Ending> {
  return {
    stop: async (container, given) =>
      await call(given, async (engine, signal) => {
        const { stopContainer } = await import('#engine/container-life.ts');
        await stopContainer(engine, await find(engine, container), { signal: given?.send, seconds: given?.seconds }, signal);
      }),
    kill: async (container, given) =>
      await call(given, async (engine, signal) => {
        const { killContainer } = await import('#engine/container-life.ts');
        await killContainer(engine, await find(engine, container), given?.send ?? 'SIGKILL', signal);
      }),
    remove: async (container, given) =>
      await call(given, async (engine, signal) => {
        const { removeContainers } = await import('#engine/containers.ts');
        await removeContainers(engine, [container], { force: given?.force === true, volumes: given?.volumes === true }, signal);
      }),
  };
}

async function find(engine: Engine, name: string) {
  const { findContainer } = await import('#engine/find-container.ts');
  return findContainer(engine, name);
}

function entryOf({ id, name, image, command, state, status, created, labels, networks, platform }: ContainerRow): ContainerEntry {
  return { id, name, image, command, state, status, created: new Date(created).toISOString(), labels, networks, platform };
}

function logRequest({ follow = false, tail, since, until }: ContainerLogOptions = {}) {
  return { follow, tail, since: since?.getTime(), until: until?.getTime() };
}
