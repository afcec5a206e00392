/** Secrets of one build: read once, handed to the steps that name them, and kept out of what those print. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Op } from '#formats/graph/op.ts';
import type { Report, VertexOutput } from '#formats/progress/event.ts';
import { JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import type { SecretRequest } from './build-requests.ts';

export type Secrets = ReadonlyMap<string, Uint8Array>;

/** BuildKit's limit. */
const longestSecret = 500 * 1024;
/** Shorter values would hide half of what is printed. */
const shortestHidden = 4;
const shortestHiddenLine = 8;
const mask = '***';

/** Throws `engine/bad-secret`; the value is never part of a message. */
export function readSecrets(requests: ReadonlyMap<string, SecretRequest>): Secrets {
  return new Map(
    [...requests].map(
      ([id, request]) => [id, request.kind === 'value' ? checked(id, request.value) : readSecretFile(id, request.path)] as const,
    ),
  );
}

/** Those that the mounts of an op name. */
export function secretsFor(op: Op, secrets: Secrets): Secrets {
  if (op.kind !== 'exec') return new Map();
  const found = new Map<string, Uint8Array>();
  for (const mount of op.mounts) {
    const value = mount.kind === 'secret' ? secrets.get(mount.id) : undefined;
    if (mount.kind === 'secret' && value !== undefined) found.set(mount.id, value);
  }
  return found;
}

/** Throws `engine/missing-secret`. */
export function requireSecrets(op: Op, secrets: Secrets): void {
  for (const mount of op.kind === 'exec' ? op.mounts : []) {
    if (mount.kind !== 'secret' || !mount.required || secrets.has(mount.id)) continue;
    throw new JettisonError('engine/missing-secret', `Secret "${mount.id}" is required, but was not given`, {
      hint: `Give it: --secret id=${mount.id},src=FILE or --secret id=${mount.id},env=VARIABLE`,
    });
  }
}

function checked(id: string, value: Uint8Array): Uint8Array {
  if (value.length > longestSecret) throw badSecret(id, `its variable has more than ${longestSecret} bytes`);
  return value;
}

function readSecretFile(id: string, path: string): Uint8Array {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    if (fstatSync(file).isDirectory()) throw badSecret(id, `${path} is a folder`);
    const bytes = new Uint8Array(longestSecret + 1);
    let length = 0;
    for (let count = -1; count !== 0 && length < bytes.length; length += count)
      count = readSync(file, bytes, length, bytes.length - length, null);
    if (length > longestSecret) throw badSecret(id, `${path} has more than ${longestSecret} bytes`);
    return bytes.slice(0, length);
  } catch (error) {
    throw error instanceof JettisonError || systemCode(error) === undefined ? error : badSecret(id, messageOf(error));
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function badSecret(id: string, why: string): JettisonError {
  return new JettisonError('engine/bad-secret', `Cannot read the secret "${id}": ${why}`, {
    hint: 'Give it as --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE',
  });
}

/**
 * A report that hides the values in what steps print; call `flush` when the step is over. A value is found wherever chunks are cut: what may be its
 * beginning is held back. Of a value with several lines each longer line counts, too.
 */
export function hideSecrets(secrets: Secrets, report: Report): { readonly report: Report; readonly flush: () => void } {
  const hidden = [...new Set([...secrets.values()].flatMap(hiddenTexts))].toSorted((a, b) => b.length - a.length);
  if (hidden.length === 0) return { report, flush: () => undefined };
  const held = new Map<VertexOutput['stream'], VertexOutput>();
  return {
    report: (event) => {
      if (event.kind !== 'output') return report(event);
      const text = hidden.reduce((all, value) => all.replaceAll(value, mask), (held.get(event.stream)?.text ?? '') + event.text);
      const kept = Math.max(...hidden.map((value) => beginningAtEnd(text, value)));
      held.set(event.stream, { ...event, text: text.slice(text.length - kept) });
      if (text.length > kept) report({ ...event, text: text.slice(0, text.length - kept) });
    },
    flush: () => {
      for (const event of held.values()) if (event.text !== '') report(event);
      held.clear();
    },
  };
}

function hiddenTexts(value: Uint8Array): readonly string[] {
  const text = new TextDecoder().decode(value).trim();
  const lines = text.split(/\r?\n/u).map((line) => line.trim());
  const whole = text.length >= shortestHidden ? [text] : [];
  return lines.length === 1 ? whole : [...whole, ...lines.filter((line) => line.length >= shortestHiddenLine)];
}

/** Length of the longest proper beginning of `value` that `text` ends with. */
function beginningAtEnd(text: string, value: string): number {
  for (let length = Math.min(value.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(value.slice(0, length))) return length;
  }
  return 0;
}
