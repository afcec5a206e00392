/** A step that failed, for people and for tools. */
import type { Json } from '#ground/base/canonical-json.ts';
import type { KeptFailedStep, StepPlace } from '#engine/step-place.ts';

/** What a person would type to run these words in a shell. */
export function shownWords(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/u.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`)).join(' ');
}

/** What `debug --json` prints. */
export function failedDocument({ build, failedAt, step }: KeptFailedStep): Json {
  return {
    build: build ?? null,
    failedAt: new Date(failedAt).toISOString(),
    text: step.text,
    stage: step.stage,
    step: step.step,
    steps: step.steps,
    dockerfile: step.dockerfile,
    line: step.lines?.[0] ?? null,
    exitCode: step.code,
    message: step.message,
    command: step.op.arguments,
    environment: step.op.environment,
    workingDirectory: step.op.workingDirectory,
    user: step.op.user,
    mounts: step.op.mounts.map((mount) => ({ kind: mount.kind, target: mount.target })),
    leftOut: step.leftOut,
    keeps: { written: step.wrote, reason: step.reason },
  };
}

/** The same of a stage. */
export function placeDocument({ title, environment, workingDirectory, user, shell }: StepPlace): Json {
  return { text: title, environment: [...environment], workingDirectory, user, shell: [...shell] };
}

/** The last line of a build that failed: what can be done with what it left. */
export function lookInside(wrote: boolean): string {
  return wrote
    ? 'Look inside: jettison debug (a shell there), jettison diff @fail, jettison cp @fail:PATH DEST; go on: jettison resume'
    : 'Look inside: jettison debug (a shell there); go on: jettison resume';
}
