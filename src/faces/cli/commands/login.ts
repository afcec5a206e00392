import { text as readAll } from 'node:stream/consumers';
import { logIn, logInAgain, logOut } from '#engine/login.ts';
import { isCode, JettisonError, messageOf } from '#ground/base/errors.ts';
import { askHidden, askLine } from '../ask.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { flag, text } from '../option.ts';
import { harmless } from '../output/text.ts';

type Given = { readonly username: string | undefined; readonly password: string | undefined; readonly fromInput: boolean };

export const loginCommand = defineCommand({
  name: 'login',
  summary: 'Show a registry who you are, and keep that for pulls and pushes',
  usage: '[OPTIONS] [SERVER]',
  options: {
    password: text('password', { short: 'p', help: 'Password or access token (others can see it in the list of processes)' }),
    fromInput: flag('password-stdin', { help: 'Take the password from standard input' }),
    username: text('username', { short: 'u', help: 'Username' }),
  },
  arguments: [0, 1],
  async run({ options, arguments: [server = ''] }, around, signal) {
    checkOptions(options);
    const { stdout, stderr } = around.streams;
    if (options.password !== undefined) stderr.write('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n');
    if (options.username === undefined && options.password === undefined && (await again(server, around, signal))) return 0;
    const { username, password } = await complete(options, around, signal);
    const kept = await logIn({ server, username, password }, around.environment, signal).catch(asRefusedLogin);
    if (kept.kind === 'file') {
      stderr.write(
        `\nWARNING! Your credentials are stored unencrypted in '${harmless(kept.file, false)}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n\n`,
      );
    }
    stdout.write('Login Succeeded\n');
    return 0;
  },
});

/** Who logs in is not told to log in. */
function asRefusedLogin(error: unknown): never {
  if (!isCode(error, 'registry/unauthorized')) throw error;
  const { code, message, fault } = error;
  throw new JettisonError(code, message, {
    fault,
    cause: error,
    hint: 'Check the user name and the password; some registries want an access token in its place',
  });
}

function checkOptions({ username, password, fromInput }: Given): void {
  if (fromInput && password !== undefined) refuse('conflicting options: cannot specify both --password and --password-stdin');
  if (fromInput && !username) refuse('the --password-stdin option requires --username to be set');
  if (username === '') refuse('username is empty');
  if (password === '') refuse('password is empty');
}

function refuse(why: string): never {
  throw new JettisonError('cli/bad-value', why, { hint: 'See "jettison login --help"' });
}

/** With what is kept already. Gives whether that was enough; what the registry no longer takes is asked for anew. */
async function again(server: string, { environment, streams }: Surroundings, signal: AbortSignal): Promise<boolean> {
  try {
    const found = await logInAgain(server, environment, signal);
    if (found === undefined) return false;
    const who = found.username === undefined ? '' : ` [Username: ${harmless(found.username, false)}]`;
    streams.stdout.write(`Authenticating with existing credentials...${who}\n\nLogin Succeeded\n`);
    return true;
  } catch (error) {
    if (!isCode(error, 'registry/unauthorized') && !isCode(error, 'registry/forbidden')) throw error;
    streams.stderr.write(`Login did not succeed, error: ${harmless(messageOf(error), false)}\n`);
    return false;
  }
}

async function complete(
  given: Given,
  { streams }: Surroundings,
  signal: AbortSignal,
): Promise<{ readonly username: string; readonly password: string }> {
  if (given.fromInput) {
    const password = (await readAll(streams.stdin)).replace(/\r?\n$/u, '');
    return { username: given.username ?? '', password: password || empty('password') };
  }
  const needsMore = given.username === undefined || given.password === undefined;
  if (needsMore && streams.stdin.isTTY !== true) {
    throw new JettisonError('cli/no-terminal', 'Cannot perform an interactive login from a non TTY device', {
      hint: 'Use --username and --password-stdin',
    });
  }
  const username = given.username ?? (await askLine('Username: ', streams, signal))?.trim();
  if (!username) return empty('username');
  const password = given.password ?? (await askHidden('Password: ', streams, signal));
  return { username, password: password || empty('password') };
}

function empty(what: string): never {
  return refuse(`${what} is empty`);
}

export const logoutCommand = defineCommand({
  name: 'logout',
  summary: 'Forget who you are to a registry',
  usage: '[SERVER]',
  options: {},
  arguments: [0, 1],
  async run({ arguments: [server = ''] }, around, signal) {
    const { key, wasKnown } = await logOut(server, around.environment, signal);
    around.streams.stdout.write(`Removing login credentials for ${key}\n`);
    if (!wasKnown) around.streams.stderr.write(`Not logged in to ${key}\n`);
    return 0;
  },
});
