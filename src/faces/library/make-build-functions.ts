/** Builds of a store. */
import type { BuildRequest } from '#engine/build-requests.ts';
import type { Engine } from '#engine/open.ts';
import type { Report } from '#formats/progress/event.ts';
import type { BuildFunctions } from './build-functions.ts';
import type { BuildResult } from './build-result.ts';
import type { Calls } from './calls.ts';

export function buildFunctions({ call, told }: Calls): BuildFunctions {
  return {
    build: async (build, given) =>
      await told(given, async (engine, report, signal) => {
        const { buildRequest } = await import('./build-request.ts');
        return await run(engine, buildRequest(build, engine, signal), report, signal);
      }),
    resume: async (build, given) =>
      await told(given, async (engine, report, signal) => {
        const { buildRequest } = await import('./build-request.ts');
        const { resumeRequest } = await import('#engine/resume.ts');
        return await run(engine, await resumeRequest(engine, buildRequest(build, engine, signal), given?.run), report, signal);
      }),
    plan: async (build, given) =>
      await call(given, async (engine, signal) => {
        const { buildRequest } = await import('./build-request.ts');
        const { planBuild } = await import('#engine/plan.ts');
        const { planDocument } = await import('#faces/documents/make-plan.ts');
        return planDocument(await planBuild(engine, buildRequest(build, engine, signal), signal));
      }),
    context: async (build, given) =>
      await call(given, async (engine, signal) => {
        const { buildRequest } = await import('./build-request.ts');
        const { listContext } = await import('#engine/list-context.ts');
        const { contextDocument } = await import('#faces/documents/make-context.ts');
        return contextDocument(await listContext(engine, buildRequest(build, engine, signal), signal));
      }),
  };
}

async function run(engine: Engine, request: BuildRequest, report: Report, signal: AbortSignal): Promise<BuildResult> {
  const { build } = await import('#engine/build.ts');
  const { buildResult } = await import('./make-build-result.ts');
  return buildResult(await build(engine, request, { report }, signal));
}
