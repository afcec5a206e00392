/**
 * What is said over the control socket of a running container: a line of JSON asks, a line of JSON answers. After `attach` and `watch` the connection carries frames: one byte that
 * says what it is, four bytes of length (big-endian), the bytes. The far end is not trusted: lines and frames have limits.
 */
import * as v from 'valibot';
import { JettisonError } from '#ground/base/errors.ts';
import { joinBytes } from '#ground/base/bytes.ts';

/** The socket's name in the container's folder. */
export const controlSocket = 'control.sock';

const whole = v.pipe(v.number(), v.integer(), v.minValue(0));
const side = v.pipe(whole, v.maxValue(65_535));
const signalText = v.pipe(v.string(), v.maxLength(20));

const limitsSchema = v.object({
  memory: v.exactOptional(v.number()),
  memorySwap: v.exactOptional(v.number()),
  memoryReservation: v.exactOptional(v.number()),
  memorySwappiness: v.exactOptional(v.number()),
  cpuShares: v.exactOptional(v.number()),
  cpuPeriod: v.exactOptional(v.number()),
  cpuQuota: v.exactOptional(v.number()),
  cpusetCpus: v.exactOptional(v.string()),
  cpusetMems: v.exactOptional(v.string()),
  pids: v.exactOptional(v.number()),
  blkioWeight: v.exactOptional(v.number()),
});

const controlRequestSchema = v.variant('kind', [
  v.object({ kind: v.literal('attach'), stdin: v.boolean(), stdout: v.boolean(), stderr: v.boolean() }),
  v.object({ kind: v.literal('signal'), name: signalText }),
  /** `seconds`: until it is killed; -1: never. */
  v.object({ kind: v.literal('stop'), signal: signalText, seconds: v.pipe(v.number(), v.integer(), v.minValue(-1)) }),
  v.object({ kind: v.literal('pause') }),
  v.object({ kind: v.literal('unpause') }),
  v.object({ kind: v.literal('resize'), rows: side, columns: side }),
  /** How one more process is started in the container: see ops/container-exec.ts. */
  v.object({
    kind: v.literal('exec'),
    arguments: v.array(v.string()),
    environment: v.array(v.string()),
    user: v.optional(v.string()),
    workingDirectory: v.optional(v.string()),
    terminal: v.boolean(),
    terminalSize: v.optional(v.object({ rows: side, columns: side })),
    isPrivileged: v.boolean(),
  }),
  /** What it uses. */
  v.object({ kind: v.literal('usage') }),
  /** What it may use from now on: all limits, also those that stay. */
  v.object({ kind: v.literal('limit'), limits: limitsSchema }),
  /** Nothing but to be told of the end. */
  v.object({ kind: v.literal('watch') }),
]);
const traffic = v.object({ in: v.number(), out: v.number() });
const countedBy = v.picklist(['cgroup', 'processes']);
const usageSchema = v.object({
  cpu: v.number(),
  memory: v.number(),
  memoryLimit: v.number(),
  network: traffic,
  disk: traffic,
  pids: v.number(),
  countedBy: v.object({ cpu: countedBy, memory: countedBy, disk: countedBy }),
});
const controlAnswerSchema = v.union([
  v.object({
    ok: v.literal(true),
    /** Of an `exec`: as the runtime has it. */
    exec: v.optional(v.object({ words: v.array(v.string()), document: v.string() })),
    usage: v.optional(usageSchema),
  }),
  v.object({ ok: v.literal(false), code: v.string(), message: v.string(), hint: v.optional(v.string()) }),
]);

export type ControlRequest = v.InferOutput<typeof controlRequestSchema>;
export type ControlAnswer = v.InferOutput<typeof controlAnswerSchema>;

/**
 * `endOfStdin` and `resize` (two u16: rows, columns) go to the container; stdout and stderr come from it. The last that comes, also after `watch`, is `exit` (u32: the exit code);
 * a connection that ends without it had a container whose monitor was killed, or that could not be started.
 */
export const frameKinds = { stdin: 0, stdout: 1, stderr: 2, resize: 3, endOfStdin: 4, exit: 5 } as const;

export type Frame = { readonly kind: number; readonly bytes: Uint8Array };

/** What `execve(2)` takes, and more. */
const longestLine = 4 << 20;
const longestFrame = 1 << 20;
const head = 5;

/** Undefined for what is no request. */
export function readRequest(line: string): ControlRequest | undefined {
  return readJson(line, controlRequestSchema);
}

/** Undefined for what is no answer. */
export function readAnswer(line: string): ControlAnswer | undefined {
  return readJson(line, controlAnswerSchema);
}

function readJson<const S extends v.GenericSchema>(line: string, schema: S): v.InferOutput<S> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const found = v.safeParse(schema, value);
  return found.success ? found.output : undefined;
}

export function frameOf(kind: number, bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(head + bytes.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, kind);
  view.setUint32(1, bytes.length);
  frame.set(bytes, head);
  return frame;
}

/** The bytes of an `exit`. */
export function exitBytes(code: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, code);
  return bytes;
}

/** Undefined where there are too few. */
export function readExit(bytes: Uint8Array): number | undefined {
  return bytes.length < 4 ? undefined : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}

/** The bytes of a `resize`. */
export function sizeBytes({ rows, columns }: { readonly rows: number; readonly columns: number }): Uint8Array {
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.min(rows, 65_535));
  view.setUint16(2, Math.min(columns, 65_535));
  return bytes;
}

/** Undefined where there are too few. */
export function readSize(bytes: Uint8Array): { readonly rows: number; readonly columns: number } | undefined {
  if (bytes.length < 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return { rows: view.getUint16(0), columns: view.getUint16(2) };
}

/** Takes the bytes of a connection as they come: first a line for `onLine`, then frames for `onFrame`. Throws `worker/bad-control` for what is too long. */
export function createControlReader(onLine: (line: string) => void, onFrame: (frame: Frame) => void): (bytes: Uint8Array) => void {
  let pending = new Uint8Array(0);
  let isInFrames = false;
  return (bytes) => {
    pending = pending.length === 0 ? new Uint8Array(bytes) : joinBytes([pending, bytes]);
    if (!isInFrames) {
      const end = pending.indexOf(0x0a);
      if (end > longestLine || (end < 0 && pending.length > longestLine)) throw tooLong();
      if (end < 0) return;
      const line = new TextDecoder().decode(pending.subarray(0, end));
      pending = pending.slice(end + 1);
      isInFrames = true;
      onLine(line);
    }
    let at = 0;
    while (pending.length - at >= head) {
      const view = new DataView(pending.buffer, pending.byteOffset + at);
      const length = view.getUint32(1);
      if (length > longestFrame) throw tooLong();
      if (pending.length - at < head + length) break;
      onFrame({ kind: view.getUint8(0), bytes: pending.slice(at + head, at + head + length) });
      at += head + length;
    }
    pending = pending.slice(at);
  };
}

function tooLong(): JettisonError {
  return new JettisonError('worker/bad-control', 'What came over the control socket is too long', { fault: 'environment' });
}
