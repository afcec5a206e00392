/** What a build that failed left, and places of builds to look into. */
import { resolve } from 'node:path';
import type { FailedStepDocument } from '#faces/documents/failed-step.ts';
import type { Engine } from '#engine/open.ts';
import type { StepPlace } from '#engine/step-place.ts';
import { isCode } from '#ground/base/errors.ts';
import type { Calls } from './calls.ts';
import type { DebugOptions } from './debug-process.ts';
import type { FailedStepFunctions } from './failed-step-functions.ts';

const usualLimit = 64 * 1024 * 1024;

export function failedStepFunctions(calls: Calls): FailedStepFunctions {
  const { call, told } = calls;
  return {
    failedStep: async (given) => await call(given, lastFailedStep),
    failedStepDiff: async (given) =>
      await call(given, async (engine, signal) => {
        const { diffContainer } = await import('#engine/container-diff.ts');
        const { failedName } = await import('#engine/step-place.ts');
        const { diffDocument } = await import('#faces/documents/make-diff.ts');
        return diffDocument(await diffContainer(engine, failedName, () => undefined, signal));
      }),
    readFailedFile: async (path, given) =>
      await call(given, async (engine, signal) => {
        const { readFailedFile } = await import('./failed-file.ts');
        return await readFailedFile(engine, { path, limit: given?.limit ?? usualLimit }, signal);
      }),
    repeatFailedStep: async (given) =>
      await told(given, async (engine, report, signal) => {
        const { repeatStep } = await import('#engine/debug-step.ts');
        const { findFailedStep, placeOfFailed } = await import('#engine/step-place.ts');
        return await repeatStep(engine, placeOfFailed(await findFailedStep(engine)), report, signal);
      }),
    debug: async (options = {}) => {
      const { openDebugProcess } = await import('./open-debug-process.ts');
      return await openDebugProcess(calls, options, async (engine, signal) => await findPlace(engine, options, signal));
    },
    writeBundle: async (path, given) =>
      await told(given, async (engine, report, signal) => {
        const { writeBundle } = await import('#engine/bundle.ts');
        const { findFailedStep } = await import('#engine/step-place.ts');
        await writeBundle(engine, await findFailedStep(engine), resolve(engine.currentFolder, path), report, signal);
      }),
    openBundle: async (path, given) =>
      await told(given, async (engine, report, signal) => {
        const { openBundle } = await import('#engine/bundle.ts');
        const { findFailedStep } = await import('#engine/step-place.ts');
        const { failedStepDocument } = await import('#faces/documents/make-failed-step.ts');
        await openBundle(engine, resolve(engine.currentFolder, path), report, signal);
        return failedStepDocument(await findFailedStep(engine));
      }),
  };
}

async function lastFailedStep(engine: Engine): Promise<FailedStepDocument | undefined> {
  const { findFailedStep } = await import('#engine/step-place.ts');
  const { failedStepDocument } = await import('#faces/documents/make-failed-step.ts');
  try {
    return failedStepDocument(await findFailedStep(engine));
  } catch (error) {
    if (isCode(error, 'engine/no-failed-step')) return undefined;
    throw error;
  }
}

async function findPlace(engine: Engine, { place, build = { context: '.' } }: DebugOptions, signal: AbortSignal): Promise<StepPlace> {
  const { findFailedStep, isFailedName, placeOfFailed } = await import('#engine/step-place.ts');
  if (place === undefined || isFailedName(place)) return placeOfFailed(await findFailedStep(engine, place));
  const { buildRequest } = await import('./build-request.ts');
  const { placeInStage } = await import('#engine/stage-place.ts');
  return await placeInStage(engine, buildRequest(build, engine, signal), place, signal);
}
