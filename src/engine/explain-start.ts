/** Why a container did not start, by the check of its image. */
import { isCode } from '#ground/base/errors.ts';
import type { Report } from '#formats/progress/event.ts';
import type { ContainerSpec } from '#execution/container/spec.ts';
import { checkImage } from './check-payload.ts';
import type { Engine } from './open.ts';
import type { PayloadCheck } from './payload-requests.ts';

const ofStart = [
  'runtime/no-interpreter',
  'runtime/not-a-program',
  'runtime/command-not-found',
  'runtime/command-not-executable',
  'runtime/start-failed',
];

export type FailedStart = { readonly spec: ContainerSpec; readonly error: unknown };

/** undefined for an error that is not about the start of the program, and where the check finds nothing that would explain it. */
export async function explainStart(
  engine: Engine,
  { spec, error }: FailedStart,
  report: Report,
  signal: AbortSignal,
): Promise<PayloadCheck | undefined> {
  if (signal.aborted || !ofStart.some((code) => isCode(error, code))) return undefined;
  const start = {
    Entrypoint: spec.arguments,
    Cmd: [],
    Env: spec.environment,
    User: spec.user,
    WorkingDir: spec.workingDirectory,
    Healthcheck: {},
  };
  const check = await checkImage(engine, { name: spec.imageId, platform: undefined, start }, report, signal);
  const findings = check.findings.filter(({ severity }) => severity === 'error');
  if (findings.length === 0) return undefined;
  const lines = check.lines.filter((line) => findings.some(({ fixes }) => fixes.some((fix) => fix.line === line)));
  return { ...check, findings, lines };
}
