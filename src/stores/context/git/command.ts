/** Runs git so that nothing of this machine's configuration, and nothing that a repository brings, can make it run something else. */
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { runProcess } from '#ground/linux/spawn.ts';

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
  'http.lowSpeedLimit': '1024',
  'http.lowSpeedTime': '60',
};

/** The end of what it printed; text. Throws `context/git-failed` with the last lines of its errors, `context/no-git`. */
export async function runGit(command: GitCommand, signal: AbortSignal): Promise<string> {
  try {
    const { code, stdout, stderr } = await runProcess(
      {
        command: 'git',
        arguments: command.arguments,
        environment: environmentOf(command),
        captureLimit: 4 << 20,
        // Neither transports nor what works on submodules end with the git that started them.
        endsAll: true,
        ...(command.folder === undefined ? {} : { cwd: command.folder }),
      },
      signal,
    );
    if (code === 0) return new TextDecoder().decode(stdout);
    throw explain(new TextDecoder().decode(stderr));
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

function explain(stderr: string): JettisonError {
  const lines = stderr
    .split(/[\r\n]+/u)
    .filter((line) => line.trim() !== '' && !/^(?:hint|warning|remote: (?:Enumerating|Counting|Compressing|Total)):?/u.test(line));
  const said = lines
    .slice(-mostLines)
    .map((line) => line.slice(0, 300))
    .join('; ');
  const isRefused = /could not read (?:Username|Password)|Authentication failed|terminal prompts disabled|error: 40[13]/u.test(stderr);
  const isStranger = /Host key verification failed/u.test(stderr);
  return new JettisonError('context/git-failed', `Git failed: ${said === '' ? 'it does not say why' : said}`, {
    fault: 'environment',
    hint: isStranger
      ? 'Put the key of the host into ~/.ssh/known_hosts once you are sure of it: ssh-keyscan HOST'
      : isRefused
        ? 'For a private repository give --secret id=GIT_AUTH_TOKEN'
        : 'Check the address of the repository, and that it can be reached from here',
  });
}
