/** Containers with streams of this program: one that is begun, one that runs, one more process in one. */
import { attachContainer } from '#execution/worker/control.ts';
import { waitForContainer } from '#engine/container-life.ts';
import { assertRuns, notRunning } from '#engine/container-process.ts';
import { removeContainers } from '#engine/containers.ts';
import { createContainer } from '#engine/create-container.ts';
import { endContainer } from '#engine/end-container.ts';
import { execInContainer } from '#engine/exec-container.ts';
import { findContainer, type Container } from '#engine/find-container.ts';
import { launch } from '#engine/launch.ts';
import type { Engine } from '#engine/open.ts';
import type { StartedMonitor } from '#engine/start-monitor.ts';
import { cancelled, orAborted } from '#ground/base/abort.ts';
import { isCode } from '#ground/base/errors.ts';
import type { EventOptions } from './call-options.ts';
import type { Calls } from './calls.ts';
import type { ContainerOptions, ContainerProcess, ExecOptions } from './container-functions.ts';
import { containerRequest, execRequest } from './container-request.ts';
import { terminalStreams } from './exec-terminal.ts';
import { openProcess, type ProcessStreams } from './open-process.ts';
import type { StreamedProcess } from './streamed-process.ts';

type Begun = { readonly id: string };

/** Settles when it runs, or has run. Throws what creating and starting throws: then there is no container, of which nobody would know the id. */
export async function runContainer(calls: Pick<Calls, 'told'>, options: ContainerOptions, given: EventOptions): Promise<ContainerProcess> {
  return await openProcess<Begun>(calls, given, async (engine, { streams, began, report }, own) => {
    const id = await createContainer(engine, containerRequest(options, true, engine.currentFolder), report, own);
    const container = findContainer(engine, id);
    let isBegun = false;
    let monitor: StartedMonitor | undefined;
    try {
      const launched = await launch(engine, container, { awaitsClient: true, size: options.terminal }, report, own);
      monitor = launched;
      await orAborted(launched.ready, own);
      const isStarted = async (): Promise<void> => {
        await orAborted(launched.started, own);
        isBegun = true;
        began({ id });
      };
      const [code] = await Promise.all([follow(engine, { container, streams }, own), isStarted()]);
      return code;
    } catch (error) {
      if (!isBegun) await removeUnbegun(engine, id, monitor);
      else if (own.aborted) await endNow(engine, id);
      throw error;
    }
  });
}

/** One that is being started is let go on, so that nobody is left who would start what is gone. */
async function removeUnbegun(engine: Engine, id: string, monitor: StartedMonitor | undefined): Promise<void> {
  const { signal } = new AbortController();
  if (monitor !== undefined) {
    await monitor.ready.catch(() => undefined);
    const nothing = { stdin: false, stdout: false, stderr: false };
    using client = await attachContainer(engine.containers.folder(id), nothing, () => undefined, signal);
    await monitor.started.catch(() => undefined);
    client?.resume();
  }
  try {
    await removeContainers(engine, [id], { force: true, volumes: true }, signal);
  } catch (error) {
    if (!isCode(error, 'engine/no-such-container')) throw error;
    // It went by itself, and asking for its folder has made that again.
    engine.containers.remove(id);
  }
}

async function endNow(engine: Engine, id: string): Promise<void> {
  const container = engine.containers.find(id);
  if (container !== undefined) await endContainer(engine, container, new AbortController().signal);
}

/** Throws `engine/no-such-container`, `engine/container-not-running`. */
export async function attachTo(calls: Pick<Calls, 'told'>, name: string, given: EventOptions): Promise<ContainerProcess> {
  return await openProcess<Begun>(calls, given, async (engine, { streams, began }, own) => {
    const container = findContainer(engine, name);
    assertRuns(container);
    return await follow(engine, { container, streams, onAttached: () => began({ id: container.id }) }, own);
  });
}

type Followed = { readonly container: Container; readonly streams: ProcessStreams; readonly onAttached?: () => void };

/** Its streams are the program's until it has ended; gives its exit code. */
async function follow(engine: Engine, { container, streams, onAttached }: Followed, signal: AbortSignal): Promise<number> {
  const wants = { stdin: container.spec.openStdin, stdout: true, stderr: true };
  const attachment = await attachContainer(engine.containers.folder(container.id), wants, streams.take, signal);
  if (attachment === undefined) throw notRunning(container);
  using client = attachment;
  streams.connect(client);
  onAttached?.();
  const code = await orAborted(client.ended, signal);
  // The row is written a moment after.
  const last = await waitForContainer(engine, container, signal);
  return code ?? last;
}

/** Settles when the program runs, or has ended. Throws `engine/container-not-running`, `engine/container-paused`, `runtime/command-not-found`. */
export async function execIn({ call }: Pick<Calls, 'call'>, name: string, options: ExecOptions): Promise<StreamedProcess> {
  const request = execRequest(options);
  const ending = new AbortController();
  const signal = options.signal === undefined ? ending.signal : AbortSignal.any([options.signal, ending.signal]);
  const begun = Promise.withResolvers<Pick<StreamedProcess, 'stdin' | 'stdout' | 'stderr' | 'resize'>>();
  const exited = call({ signal }, async (engine, own) => {
    const wish = { ...request, stdin: request.terminal === undefined ? 'pipes' : false, isDetached: false } as const;
    const exec = await execInContainer(engine, findContainer(engine, name), wish, own);
    const streams = exec.pipes ?? terminalStreams(exec);
    try {
      await orAborted(exec.started, own);
      if (streams !== undefined) begun.resolve({ ...streams, resize: (size) => exec.resize(size) });
      return await orAborted(exec.ended, own);
    } catch (error) {
      if (own.aborted) {
        exec.kill();
        await exec.ended.catch(() => undefined);
      }
      throw error;
    } finally {
      streams?.stdin.destroy();
    }
  });
  exited.catch(begun.reject);
  const streams = await begun.promise;
  return {
    ...streams,
    exited,
    [Symbol.asyncDispose]: async () => {
      ending.abort(cancelled('The process was disposed of'));
      await exited.catch(() => undefined);
      for (const stream of [streams.stdout, streams.stderr]) stream.destroy();
    },
  };
}
