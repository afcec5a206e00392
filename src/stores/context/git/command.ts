/** Runs git so that nothing of this machine's configuration, and nothing that a repository brings, can make it run something else. */
import { childSignal } from '#ground/base/abort.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { retry } from '#ground/base/retry.ts';
import { formatDuration } from '#ground/base/human.ts';
import { runProcess } from '#ground/linux/spawn.ts';
import { asFinal } from '#stores/registry/errors.ts';
import { checkSize, watchNetwork, type GitNetwork } from './network.ts';

/** Settings as `-c` has them, in the environment instead: others can read the arguments of a process. */
export type GitSettings = Readonly<Record<string, string>>;

export type GitCommand = {
  readonly arguments: readonly string[];
  /** The process's own environment: where programs are, proxies and certificates are taken from it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly folder?: string;
  readonly settings?: GitSettings;
  readonly variables?: Readonly<Record<string, string>>;
  /** Transports that may be used, with `:` between them. Default: none. */
  readonly transports?: string;
  /** It talks to a server. */
  readonly network?: GitNetwork;
  /** Standard output goes there as it comes, and is not given. */
  readonly onStdout?: (chunk: Uint8Array) => void;
};

const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY'];
const kept = proxies
  .flatMap((name) => [name, name.toLowerCase()])
  .concat('GIT_SSL_CAINFO', 'GIT_SSL_CAPATH', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'TMPDIR');

/** No hooks, no monitors, no credential helpers, no filters of this machine; lines as the repository has them. */
const settings: GitSettings = {
  'core.hooksPath': '/dev/null',
  'core.fsmonitor': 'false',
  'core.attributesFile': '/dev/null',
  'core.excludesFile': '/dev/null',
  'core.autocrlf': 'false',
  'core.symlinks': 'true',
  'core.fileMode': 'true',
  'credential.helper': '',
  'init.defaultBranch': 'master',
  'gc.auto': '0',
  'maintenance.auto': 'false',
  'submodule.recurse': 'false',
  'advice.detachedHead': 'false',
  // What is fetched stays one pack, however few objects it has: its size can be seen.
  'fetch.unpackLimit': '1',
};

/** The end of what it printed; text. Throws `context/git-failed` with the last lines of its errors, `context/no-git`; where it talks to a server also `context/git-too-slow`, `context/git-too-large`. */
export async function runGit(command: GitCommand, signal: AbortSignal): Promise<string> {
  const { network } = command;
  if (network === undefined) return await runOnce(command, signal);
  const { limits } = network;
  let slow = 0;
  const task = async (): Promise<string> => {
    try {
      const text = await runOnce(command, signal);
      checkSize(network);
      return text;
    } catch (error) {
      network.clearUp?.();
      // What took the whole of a time limit is tried only once more.
      if (isCode(error, 'context/git-too-slow') && ++slow > 1) throw asFinal(error);
      throw error;
    }
  };
  const onPause = (error: JettisonError, { pause, attempt }: { readonly pause: number; readonly attempt: number }): void =>
    limits.onWait(
      `${error.message}. Trying again in ${formatDuration(pause)} (try ${attempt} of ${isCode(error, 'context/git-too-slow') ? attempt : limits.tries})`,
    );
  return await retry(task, { tries: limits.tries, firstPause: limits.firstPause, onPause }, signal);
}

async function runOnce(command: GitCommand, signal: AbortSignal): Promise<string> {
  using own = childSignal(signal);
  using watching = new DisposableStack();
  const { network } = command;
  try {
    const {
      code,
      signal: endedBy,
      stdout,
      stderr,
    } = await runProcess(
      {
        command: 'git',
        arguments: command.arguments,
        environment: environmentOf(command),
        captureLimit: 4 << 20,
        // Neither transports nor what works on submodules end with the git that started them.
        endsAll: true,
        onStart: (pid) => void (network && watching.use(watchNetwork(network, pid, (error) => own.abort(error)))),
        ...(command.onStdout === undefined ? {} : { onStdout: command.onStdout }),
        ...(command.folder === undefined ? {} : { cwd: command.folder }),
      },
      own.signal,
    );
    if (code === 0) return new TextDecoder().decode(stdout);
    // Git writes to a connection that is gone, and dies of it without a word.
    const last =
      endedBy === 'SIGPIPE' ? '\nthe connection broke: Connection closed' : endedBy === undefined ? '' : `\nit was ended by ${endedBy}`;
    throw explain(new TextDecoder().decode(stderr) + last, network?.address);
  } catch (error) {
    if (!isCode(error, 'linux/no-such-command')) throw error;
    throw new JettisonError('context/no-git', 'Cannot read a Git repository: the program "git" is not installed', {
      fault: 'environment',
      hint: 'Install git, or give the files as a folder',
      cause: error,
    });
  }
}

function environmentOf({ environment, variables, transports, ...command }: GitCommand): Readonly<Record<string, string>> {
  const own = kept.flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const all = Object.entries({ ...settings, ...command.settings });
  return {
    ...Object.fromEntries(own),
    PATH: environment['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    HOME: '/nonexistent',
    XDG_CONFIG_HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TEMPLATE_DIR: '',
    GIT_TERMINAL_PROMPT: '0',
    GIT_SSH_COMMAND: 'false',
    GIT_ALLOW_PROTOCOL: transports ?? 'none',
    GIT_CONFIG_COUNT: String(all.length),
    ...Object.fromEntries(
      all.flatMap(([key, value], index) => [[`GIT_CONFIG_KEY_${index}`, key] as const, [`GIT_CONFIG_VALUE_${index}`, value] as const]),
    ),
    ...variables,
  };
}

const mostLines = 6;

/** What may be gone a moment later, in the words of git, curl and ssh. */
const passing =
  /returned error: (?:408|429|5\d\d)|early EOF|RPC failed|hung up unexpectedly|unexpected disconnect|Connection (?:reset|closed|timed out)|Empty reply|Temporary failure/iu;

function explain(stderr: string, address: string | undefined): JettisonError {
  const lines = stderr
    .split(/[\r\n]+/u)
    .filter((line) => line.trim() !== '' && !/^(?:hint|warning|remote: (?:Enumerating|Counting|Compressing|Total)):?/u.test(line));
  const said = lines
    .slice(-mostLines)
    .map((line) => line.slice(0, 300))
    .join('; ');
  const isRefused = /could not read (?:Username|Password)|Authentication failed|terminal prompts disabled|error: 40[13]/u.test(stderr);
  const isStranger = /Host key verification failed/u.test(stderr);
  const about = address === undefined || said.includes(address) ? '' : ` for "${address}"`;
  return new JettisonError('context/git-failed', `Git failed${about}: ${said === '' ? 'it does not say why' : said}`, {
    fault: 'environment',
    retryable: address !== undefined && passing.test(stderr),
    hint: isStranger
      ? 'Put the key of the host into ~/.ssh/known_hosts once you are sure of it: ssh-keyscan HOST'
      : isRefused
        ? 'For a private repository give --secret id=GIT_AUTH_TOKEN'
        : 'Check the address of the repository, and that it can be reached from here',
  });
}
