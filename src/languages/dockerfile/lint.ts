/** Lints a Dockerfile: from its text alone, for editors, or with its images looked up, for `--check`. Every stage is looked at. */
import { JettisonError } from '#ground/base/errors.ts';
import type { FrontendOptions, Outside } from '#languages/frontend/contract.ts';
import type { Diagnostic } from '#languages/frontend/diagnostics.ts';
import { createSubject, type StageFacts } from './convert/facts.ts';
import { checkOptionsOf, findingsOf } from './convert/findings.ts';
import { readHeads } from './convert/globals.ts';
import { findTarget, neededStages, planStages, type Plan } from './convert/plan.ts';
import { resolveImages, type ResolvedImages } from './convert/resolve.ts';
import { convertStage } from './convert/stage.ts';
import { createConversion, factsOf } from './convert/state.ts';
import { parseDockerfile } from './parse.ts';
import { standardOptions } from './rules/options.ts';

export { rules } from './rules/all.ts';

export type LintOptions = Partial<Pick<FrontendOptions, 'platform' | 'buildPlatform' | 'buildArgs' | 'target' | 'ignorePatterns'>>;

const native = { os: 'linux', architecture: 'amd64' };
const noImages: ResolvedImages = { get: () => undefined };

/**
 * Faults (severity error) and findings (warning), in the order of the file. Never throws. Nothing is said of variables that an
 * image might set.
 */
export function lintDockerfile(text: string, file: string, options: LintOptions = {}): readonly Diagnostic[] {
  const lint = openLint(text, {
    file,
    target: undefined,
    buildArgs: new Map(),
    labels: new Map(),
    platform: native,
    buildPlatform: native,
    noCache: false,
    noCacheStages: [],
    network: 'default',
    extraHosts: [],
    ...options,
  });
  return lint.finish(lint.plan && lint.convert(lint.plan, noImages));
}

/** The same with the images of all stages looked up (of those that the target needs, if one is given). Rejects only when `signal` aborts. */
export async function checkDockerfile(
  text: string,
  options: FrontendOptions,
  outside: Outside,
  signal: AbortSignal,
): Promise<readonly Diagnostic[]> {
  const lint = openLint(text, options);
  if (!lint.plan) return lint.finish(undefined);
  const { plan } = lint;
  const images = await lint.attempt(async () => await resolveImages(plan, stagesOf(plan), outside, signal));
  signal.throwIfAborted();
  return lint.finish(images && lint.convert(plan, images));
}

function stagesOf(plan: Plan) {
  return plan.options.target === undefined ? plan.stages : neededStages(findTarget(plan));
}

function openLint(text: string, options: FrontendOptions) {
  const { dockerfile, diagnostics } = parseDockerfile(text, options.file);
  const faults: Diagnostic[] = [...diagnostics];
  const catching = <T>(task: () => T): T | undefined => {
    try {
      return task();
    } catch (error) {
      faults.push(asDiagnostic(error));
      return undefined;
    }
  };
  const check = catching(() => checkOptionsOf(dockerfile, options)) ?? standardOptions;
  const heads = readHeads(dockerfile, options);
  const plan = faults.length > 0 ? undefined : catching(() => planStages(dockerfile, options, heads));
  return {
    plan,
    async attempt<T>(task: () => Promise<T>): Promise<T | undefined> {
      try {
        return await task();
      } catch (error) {
        faults.push(asDiagnostic(error));
        return undefined;
      }
    },
    /** What is found of the stages up to the first fault. */
    convert(ready: Plan, images: ResolvedImages): readonly StageFacts[] {
      const conversion = createConversion(ready, images, undefined);
      catching(() => {
        for (const stage of stagesOf(ready)) convertStage(stage, conversion);
      });
      return [...conversion.states.values()].map(factsOf);
    },
    finish(stages: readonly StageFacts[] | undefined): readonly Diagnostic[] {
      const subject = createSubject({ dockerfile, ...heads, stages: stages ?? [], ignorePatterns: options.ignorePatterns ?? [] });
      const findings = findingsOf(subject, check);
      return [...faults, ...findings].toSorted((a, b) => (a.at[0]?.start.line ?? 0) - (b.at[0]?.start.line ?? 0));
    },
  };
}

function asDiagnostic(error: unknown): Diagnostic {
  if (!(error instanceof JettisonError)) throw error;
  const rule = error.code === 'dockerfile/not-built-yet' ? 'NotBuiltYet' : 'BuildError';
  return { rule, severity: 'error', message: error.message, at: error.at, ...(error.hint === undefined ? {} : { hint: error.hint }) };
}
