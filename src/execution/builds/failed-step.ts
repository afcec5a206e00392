/** What is kept of the last step of a project that failed: enough to look at what it left, and to run it again. Written and read as JSON; one may come from another machine. */
import * as v from 'valibot';
import type { ExecOp } from '#formats/graph/op.ts';
import { shownStage, type Vertex } from '#formats/graph/vertex.ts';
import { checkShape, parseJson } from '#ground/base/decode.ts';
import { hasPassword, isSecretName } from '#languages/frontend/secret-names.ts';

const words = v.array(v.string());
const whole = v.pipe(v.number(), v.integer());
const place = v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0)));
const owned = { mode: whole, uid: whole, gid: whole };

const mount = v.variant('kind', [
  v.object({ kind: v.literal('bind'), input: place, source: v.string(), target: v.string(), readOnly: v.boolean() }),
  v.object({
    kind: v.literal('cache'),
    id: v.string(),
    input: place,
    source: v.string(),
    target: v.string(),
    sharing: v.picklist(['shared', 'private', 'locked']),
    readOnly: v.boolean(),
    ...owned,
  }),
  v.object({ kind: v.literal('tmpfs'), target: v.string(), size: v.nullable(v.number()), readOnly: v.exactOptional(v.literal(true)) }),
  v.object({
    kind: v.literal('secret'),
    id: v.string(),
    target: v.nullable(v.string()),
    variable: v.nullable(v.string()),
    required: v.boolean(),
    ...owned,
  }),
  v.object({ kind: v.literal('ssh'), id: v.string(), target: v.string(), required: v.boolean(), ...owned }),
]);

const execOp = v.object({
  kind: v.literal('exec'),
  root: place,
  arguments: words,
  environment: words,
  workingDirectory: v.string(),
  user: v.string(),
  network: v.picklist(['default', 'none', 'host']),
  security: v.picklist(['sandbox', 'insecure']),
  mounts: v.array(mount),
  extraHosts: words,
  hostname: v.string(),
  shmSize: v.nullable(v.number()),
  ulimits: v.exactOptional(v.array(v.object({ name: v.string(), soft: whole, hard: whole }))),
  cgroupParent: v.exactOptional(v.string()),
});

/** `snapshot`: of this store; `folder`: of the client, as the build read it. */
const input = v.variant('kind', [
  v.object({ kind: v.literal('snapshot'), snapshot: v.string() }),
  v.object({ kind: v.literal('folder'), path: v.string(), ignore: words, isPassing: v.exactOptional(v.boolean()) }),
  v.object({ kind: v.literal('empty') }),
]);

const failedStep = v.object({
  /** The instruction as shown and as written; where it stands. */
  text: v.string(),
  written: v.nullable(v.string()),
  stage: v.nullable(v.string()),
  step: v.nullable(v.number()),
  steps: v.nullable(v.number()),
  dockerfile: v.string(),
  /** First and last line. */
  lines: v.nullable(v.tuple([whole, whole])),
  /** Of its process. */
  code: whole,
  message: v.string(),
  /** Of the build's own variables, those named like secrets are not in it. */
  op: execOp,
  inputs: v.array(input),
  /** Outside the op's definition: proxies. */
  quietEnvironment: words,
  /** Variables that were left out. */
  leftOut: words,
  /** The files as the step left them: a snapshot; null for an empty tree. */
  state: v.nullable(v.string()),
  /** The topmost layer of `state` is what the step wrote. */
  wrote: v.boolean(),
  /** Why what it wrote is not kept. */
  reason: v.nullable(v.string()),
  /** What it printed (see logs.ts). */
  log: v.nullable(v.string()),
  /** How the build was asked for: what stood behind `build`, where, and the digest of the Dockerfile; null where it cannot be asked for again. */
  request: v.nullable(v.object({ words, folder: v.string(), source: v.string() })),
  /** Digest of the Dockerfile's text; left out where its line means nothing: out of a bundle. */
  source: v.exactOptional(v.string()),
});

export type FailedStep = Readonly<v.InferOutput<typeof failedStep>>;
export type FailedInput = FailedStep['inputs'][number];

/** Bytes: an op with a large here-document. */
const longest = 16 * 1024 * 1024;

/** Throws `builds/bad-failed-step`. */
export function readFailedStep(text: string): FailedStep {
  const document = { what: 'what is kept of a failed step', code: 'builds/bad-failed-step', limit: longest } as const;
  return checkShape(parseJson(new TextEncoder().encode(text), document), failedStep, document);
}

/** The parts of a record that its vertex knows; values of build arguments that are named like secrets stay behind, and proxies with a password in them. */
export function describeFailed(
  { label }: Vertex,
  op: ExecOp,
): Pick<FailedStep, 'text' | 'written' | 'stage' | 'step' | 'steps' | 'dockerfile' | 'lines' | 'op' | 'quietEnvironment' | 'leftOut'> {
  const given = new Set(label.argumentNames ?? []);
  const isHidden = (entry: string): boolean => given.has(nameOf(entry)) && isSecretName(nameOf(entry));
  const quiet = label.quietEnvironment ?? [];
  const at = label.at?.[0];
  const { ulimits, ...rest } = op;
  return {
    text: label.text,
    written: label.written ?? null,
    stage: shownStage(label) ?? null,
    step: label.step ?? null,
    steps: label.steps ?? null,
    dockerfile: at?.file ?? 'Dockerfile',
    lines: at === undefined ? null : [at.start.line, at.end.line],
    op: {
      ...rest,
      arguments: [...op.arguments],
      environment: op.environment.filter((entry) => !isHidden(entry)),
      mounts: op.mounts.map((one) => ({ ...one })),
      extraHosts: [...op.extraHosts],
      ...(ulimits === undefined ? {} : { ulimits: ulimits.map((one) => ({ ...one })) }),
    },
    quietEnvironment: quiet.filter((entry) => !hasPassword(entry)),
    leftOut: [...op.environment.filter(isHidden), ...quiet.filter(hasPassword)].map(nameOf),
  };
}

function nameOf(entry: string): string {
  return entry.slice(0, entry.indexOf('='));
}
