/** Starts and asks the process that makes and serves the network of one container of a normal user, in the home of the user's bridges (see attended.ts). */
import { JettisonError, type Fault } from '#ground/base/errors.ts';
import { startInNamespaces, type NamespaceProcess, type PassedSocket } from '#ground/linux/namespace.ts';
import type { Attendant, Standing, StandRequest } from './attended.ts';
import type { NetworkedContainer } from './container-network.ts';
import type { Target } from './forward-tcp.ts';
import type { Membership } from './wish.ts';

/** One at a time; each is answered. */
export type ToAttendant =
  | ({ readonly kind: 'stand' } & StandRequest)
  /** With a socket that listens on the machine. */
  | { readonly kind: 'lead'; readonly to: Target }
  | AttendedChange;

/** What is changed of a container that runs; `process` is its first. */
export type AttendedChange =
  | { readonly kind: 'connect'; readonly container: NetworkedContainer; readonly process: number; readonly network: Membership }
  | { readonly kind: 'disconnect'; readonly container: string; readonly network: string };

export type FromAttendant =
  | { readonly kind: 'stands'; readonly standing: Standing }
  /** What a person should know. */
  | { readonly kind: 'done'; readonly notes: readonly string[] }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly message: string;
      readonly fault: Fault;
      readonly hint: string | undefined;
      readonly notes: readonly string[];
    };

type Answer = Exclude<FromAttendant, { kind: 'failed' }>;

export type AttendantStart = {
  /** Absolute path of what runs `attend`. */
  readonly script: string;
  /** Its whole environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** The process that holds the home. */
  readonly home: number;
};

/** Starts it in the home. What it is asked for throws `network/no-attendant` where it ends before it has answered. */
export async function startAttendant(options: AttendantStart): Promise<Attendant> {
  const { pid, ask, end } = await start(options);
  return {
    pid,
    stand: async (request) => {
      const answer = await ask({ kind: 'stand', ...request });
      if (answer.kind !== 'stands') throw lost();
      return answer.standing;
    },
    leadOn: async (socket, to) => void (await ask({ kind: 'lead', to }, socket)),
    [Symbol.asyncDispose]: end,
  };
}

/** Has one thing done in the home; gives what a person should know. */
export async function attendOnce(options: AttendantStart, change: AttendedChange): Promise<readonly string[]> {
  const { ask, end } = await start(options);
  try {
    const answer = await ask(change);
    return answer.kind === 'done' ? answer.notes : [];
  } finally {
    await end();
  }
}

async function start({ script, environment, home }: AttendantStart) {
  const child: NamespaceProcess = await startInNamespaces(
    {
      isolation: 'rootless',
      beside: home,
      network: { kind: 'joined', process: home },
      entry: script,
      arguments: [],
      stdio: ['ignore', 'ignore', environment['NODE_DEBUG'] === undefined ? 'ignore' : 'inherit'],
      environment,
    },
    new AbortController().signal,
  );
  let waiting = waitForAnswer();
  child.onMessage((message) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both ends are this program
    const answer = message as FromAttendant;
    if (answer.kind === 'failed') waiting.reject(failure(answer));
    else waiting.resolve(answer);
  });
  void child.exit.then(() => waiting.reject(lost()));
  return {
    pid: child.pid ?? 0,
    ask: async (request: ToAttendant, socket?: PassedSocket): Promise<Answer> => {
      if (socket === undefined) child.send(request);
      else child.give(request, socket);
      try {
        return await waiting.promise;
      } finally {
        waiting = waitForAnswer();
      }
    },
    end: async (): Promise<void> => await child[Symbol.asyncDispose](),
  };
}

function waitForAnswer(): PromiseWithResolvers<Answer> {
  const waiting = Promise.withResolvers<Answer>();
  waiting.promise.catch(() => undefined);
  return waiting;
}

function failure({ code, message, fault, hint, notes }: Extract<FromAttendant, { kind: 'failed' }>): JettisonError {
  return new JettisonError(code, message, { fault, notes, ...(hint === undefined ? {} : { hint }) });
}

function lost(): JettisonError {
  return new JettisonError('network/no-attendant', 'The process that makes the network of the container has ended', {
    fault: 'environment',
    hint: 'Run it again; NODE_DEBUG=jettison:network shows more',
  });
}
