/**
 * What a build may ask of its user's SSH keys, in the ssh-agent protocol (draft-miller-ssh-agent): which there are, and signatures. The keys are
 * those of a running agent, or of files that are read here; nothing else is ever passed on to an agent.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import { askFrame } from '#ground/linux/frame-socket.ts';
import { parsePrivateKey, type PrivateKey } from './keys/private-key.ts';
import { join, readWire, same, string, u32 } from './keys/wire.ts';

export type SshAgent = {
  /** Answers one request of the protocol, both without their length; always with a reply, be it a refusal. */
  answer(request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
};

/** Section 7.1 of the draft: numbers of messages. */
const requestIdentities = 11;
const identitiesAnswer = 12;
const signRequest = 13;
const signResponse = 14;
const failure = new Uint8Array([5]);
/** BuildKit's limit for a key file. */
const longestKey = 100 * 1024;

/**
 * Opens what stands behind one `--ssh`: the socket of an agent, or key files (absolute paths). `id` is for messages. Throws `ssh/not-found`,
 * `ssh/mixed`, `ssh/encrypted-key`, `ssh/bad-key`. An agent that ends later refuses.
 */
export function openSshAgent(id: string, paths: readonly string[]): SshAgent {
  const keys: PrivateKey[] = [];
  const sockets = paths.filter((path) => isSocket(id, path));
  if (sockets.length > 1 || (sockets.length === 1 && paths.length > 1)) {
    throw new JettisonError('ssh/mixed', `The paths of --ssh "${id}" are more than one socket, or sockets and keys`, {
      hint: 'Give one socket, or key files; for both use two ids',
    });
  }
  const [socket] = sockets;
  if (socket !== undefined) return { answer: async (request, signal) => await askAgent(socket, request, signal) };
  for (const path of paths) keys.push(parsePrivateKey(readKeyFile(id, path), path));
  return { answer: async (request) => await Promise.resolve(answerWith(keys, request)) };
}

function isSocket(id: string, path: string): boolean {
  try {
    return statSync(path).isSocket();
  } catch (error) {
    throw notFound(id, error);
  }
}

function readKeyFile(id: string, path: string): string {
  let file: number | undefined;
  try {
    // A FIFO without a writer must not hold the whole process up.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(file).isFile()) throw new JettisonError('ssh/bad-key', `Cannot use the key "${path}": it is no file`);
    const bytes = new Uint8Array(longestKey);
    let length = 0;
    for (let count = -1; count !== 0 && length < bytes.length; length += count)
      count = readSync(file, bytes, length, bytes.length - length, null);
    return new TextDecoder().decode(bytes.subarray(0, length));
  } catch (error) {
    throw error instanceof JettisonError || systemCode(error) === undefined ? error : notFound(id, error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function notFound(id: string, error: unknown): JettisonError {
  return new JettisonError('ssh/not-found', `Cannot open what --ssh "${id}" names: ${messageOf(error)}`, {
    hint: 'Give the socket of an ssh-agent, or private key files: --ssh ID=PATH',
    cause: error,
  });
}

/** Only questions for identities and signatures reach the agent, and only replies to these come back: nothing may add, remove or lock keys. */
async function askAgent(socket: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  const wanted = expectedReply(request);
  if (wanted === undefined) return failure;
  try {
    const reply = await askFrame(socket, request, signal);
    return reply[0] === wanted ? reply : failure;
  } catch {
    // An agent that is gone has no keys.
    signal.throwIfAborted();
    return failure;
  }
}

function expectedReply(request: Uint8Array): number | undefined {
  if (request[0] === requestIdentities && request.length === 1) return identitiesAnswer;
  return request[0] === signRequest ? signResponse : undefined;
}

function answerWith(keys: readonly PrivateKey[], request: Uint8Array): Uint8Array {
  const wanted = expectedReply(request);
  if (wanted === undefined) return failure;
  if (wanted === signResponse) return signWith(keys, request.subarray(1));
  // Comments stay out: they are names of people and machines.
  const entries = keys.map(({ blob }) => join(string(blob), string('')));
  return join(new Uint8Array([identitiesAnswer]), u32(keys.length), ...entries);
}

function signWith(keys: readonly PrivateKey[], request: Uint8Array): Uint8Array {
  try {
    const reader = readWire(request);
    const [blob, data, flags] = [reader.bytes(), reader.bytes(), reader.u32()];
    const key = keys.find((each) => same(each.blob, blob));
    return key === undefined ? failure : join(new Uint8Array([signResponse]), string(key.sign(data, flags)));
  } catch (error) {
    if (error instanceof RangeError) return failure;
    throw error;
  }
}
