/** The programs that `credHelpers` and `credsStore` of docker's `config.json` name. */
import { isCode } from '#ground/base/errors.ts';
import { runProcess } from '#ground/linux/spawn.ts';
import { badDockerConfig, dockerConfigFile, type Environment } from './docker-config.ts';
import { registryError } from './errors.ts';

const helperLimit = 1 << 20;

/** What is wanted of a credential helper, and what it is told on its standard input. */
export type HelperCall = {
  readonly name: string;
  readonly action: 'get' | 'store' | 'erase' | 'list';
  readonly input: string;
  readonly environment: Environment;
};

/**
 * Runs `docker-credential-NAME ACTION`, by the protocol of docker-credential-helpers. Gives what it wrote; undefined when it does not know the credentials. Throws
 * `registry/credential-helper`, `registry/no-credential-helper`, `registry/bad-docker-config`.
 */
export async function callHelper({ name, action, input, environment }: HelperCall, signal: AbortSignal): Promise<Uint8Array | undefined> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/u.test(name)) throw badDockerConfig(`"${name}" is no name of a credential helper`);
  const command = `docker-credential-${name}`;
  const hint = helperHint(name, environment);
  const exit = await runProcess(
    {
      command,
      arguments: [action],
      input: new TextEncoder().encode(input),
      environment: definedOnly(environment),
      captureLimit: helperLimit,
    },
    signal,
  ).catch((error: unknown) => {
    if (!isCode(error, 'linux/no-such-command')) throw error;
    throw registryError('no-credential-helper', error.message, { fault: 'user', cause: error, hint });
  });
  if (exit.code === 0) return exit.stdout;
  const [said, complaint] = [exit.stdout, exit.stderr].map((bytes) => new TextDecoder().decode(bytes).trim().slice(0, 300));
  if (/credentials not found/iu.test(said ?? '')) return undefined;
  const why = said || complaint || `it ended with ${exit.code ?? exit.signal}`;
  throw registryError('credential-helper', `Cannot ${action} credentials by ${command}: ${why}`, { fault: 'user', hint });
}

/** What to do about a credential helper that does not help. */
export function helperHint(name: string, environment: Environment): string {
  return `${dockerConfigFile(environment)} names "${name}" as what keeps credentials ("credsStore", "credHelpers"): have docker-credential-${name} work, or take the name out of there`;
}

function definedOnly(environment: Environment): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}
