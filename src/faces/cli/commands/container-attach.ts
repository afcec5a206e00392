/** What `run`, `start` and `attach` do with a container that another process holds. */
import { killContainer, waitForContainer } from '#engine/container-life.ts';
import { findContainer, type Container } from '#engine/find-container.ts';
import { launch } from '#engine/launch.ts';
import type { Engine } from '#engine/open.ts';
import type { Report } from '#formats/progress/event.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { attachStreams, terminalSize, type AttachWish } from '../attached.ts';
import type { Streams, Surroundings } from '../command.ts';

export type Attaching = Pick<AttachWish, 'stdin' | 'stdout' | 'stderr' | 'detachKeys'> & { readonly passesSignals: boolean };

/** Starts a container and is attached to it from the beginning. Gives its exit code; 0 where the detach keys were typed. Throws what kept it from starting. */
export async function startAttached(
  engine: Engine,
  container: Container,
  { attaching, report }: { readonly attaching: Attaching; readonly report: Report },
  around: Surroundings,
  signal: AbortSignal,
): Promise<number> {
  checkTerminal(container, attaching.stdin && container.spec.openStdin, around.streams);
  const size = container.spec.terminal ? terminalSize(around.streams) : undefined;
  const monitor = await launch(engine, container, { awaitsClient: true, size }, report, signal);
  await monitor.ready;
  const [code] = await Promise.all([attachTo(engine, container, attaching, around, signal), monitor.started]);
  return code;
}

/** Attaches to a container that runs. Gives its exit code when it has ended; 0 where the detach keys were typed. */
export async function attachTo(
  engine: Engine,
  container: Container,
  attaching: Attaching,
  around: Surroundings,
  signal: AbortSignal,
): Promise<number> {
  const onSignal = (name: NodeJS.Signals): void => void passSignal(engine, container.id, name);
  const wish: AttachWish = {
    ...attaching,
    folder: engine.containers.folder(container.id),
    stdin: attaching.stdin && container.spec.openStdin,
    terminal: container.spec.terminal,
    onSignal: attaching.passesSignals ? onSignal : undefined,
  };
  const end = await attachStreams(wish, around.streams, signal);
  if (end.kind === 'detached') {
    around.streams.stderr.write('read escape sequence\n');
    return 0;
  }
  // The row is written a moment after.
  const code = await waitForContainer(engine, container, new AbortController().signal);
  return end.kind === 'ended' ? (end.code ?? code) : code;
}

/** One that has ended meanwhile wants no more signals. */
async function passSignal(engine: Engine, id: string, name: string): Promise<void> {
  try {
    await killContainer(engine, findContainer(engine, id), name, new AbortController().signal);
  } catch (error) {
    if (!isCode(error, 'engine/container-not-running') && !isCode(error, 'engine/no-such-container')) throw error;
  }
}

/** Throws `cli/no-terminal` where keys should go to a container's terminal and there is none to type at. */
export function checkTerminal({ spec }: Pick<Container, 'spec'>, stdin: boolean, streams: Streams): void {
  if (!spec.terminal || !stdin || streams.stdin.isTTY === true) return;
  throw new JettisonError('cli/no-terminal', 'the input device is not a TTY', { hint: 'Leave "-t" out' });
}
