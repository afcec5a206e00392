/** The documents of `jettison debug --json`. */
import type { KeptFailedStep, StepPlace } from '#engine/step-place.ts';
import type { FailedStepDocument, StagePlaceDocument } from './failed-step.ts';

export function failedStepDocument({ build, failedAt, step }: KeptFailedStep): FailedStepDocument {
  return {
    version: 1,
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

export function stagePlaceDocument({ title, environment, workingDirectory, user, shell }: StepPlace): StagePlaceDocument {
  return { version: 1, text: title, environment, workingDirectory, user, shell };
}
