/** Builds that were. */
import { buildRecordDocument } from '#faces/documents/make-build-record.ts';
import { whyDocument } from '#faces/documents/make-why.ts';
import type { BuildChoice } from '#engine/past-build-requests.ts';
import type { Calls } from './calls.ts';
import type { RecordFunctions, RecordOptions } from './record-functions.ts';

export function recordFunctions({ call, stream }: Calls): RecordFunctions {
  return {
    why: async (given) =>
      await call(given, async (engine) => {
        const { pastBuild } = await import('#engine/past-builds.ts');
        const { whyOfStep } = await import('#engine/why-step.ts');
        const build = await pastBuild(engine, choiceOf(given));
        return whyDocument(build, given?.step === undefined ? build.why : whyOfStep(build, given.step));
      }),
    buildRecord: async (given) =>
      await call(given, async (engine) => {
        const { pastBuild } = await import('#engine/past-builds.ts');
        return buildRecordDocument(await pastBuild(engine, choiceOf(given)));
      }),
    builds: async (given) =>
      await call(given, async (engine) => {
        const { listBuilds } = await import('#engine/past-builds.ts');
        return (await listBuilds(engine, { filters: [], isLocal: false })).map(
          ({ id, status, names, context, dockerfile, startedAt, finishedAt, total, cached, imageId, error }) => ({
            build: id,
            status,
            names,
            context,
            dockerfile,
            startedAt: new Date(startedAt).toISOString(),
            finishedAt: finishedAt === 0 ? null : new Date(finishedAt).toISOString(),
            steps: { total, cached },
            image: imageId,
            error: error === null ? null : { code: error.code, message: error.message },
          }),
        );
      }),
    logs: (given) =>
      stream(given, async (engine, give, signal) => {
        const { buildEvents } = await import('#engine/past-builds.ts');
        for await (const event of buildEvents(engine, { build: choiceOf(given), step: given?.step })) {
          signal.throwIfAborted();
          await give(event);
        }
      }),
  };
}

function choiceOf({ build }: RecordOptions = {}): BuildChoice {
  return build === undefined ? { kind: 'place', place: 1 } : { kind: 'id', id: build };
}
